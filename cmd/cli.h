/*
 * What every command shares: its surroundings, its options, its last words.
 *
 * Only files of cmd/ print, exit, look at the environment or the clock; they
 * pass on what they found as struct nr_env and paths.
 */
#ifndef CLI_H
#define CLI_H

#include "base/env.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Exit statuses of every command (noroshi(1), EXIT STATUS). */
enum {
    CLI_NOTHING = 0,    /* done, nothing seen */
    CLI_SEEN = 1,       /* done, something was seen */
    CLI_ERROR = 2,      /* an error; nothing may be concluded */
    CLI_INCOMPLETE = 3, /* something named on stderr could not be read */
};

struct cli {
    struct nr_env env;      /* injected by NOROSHI_NOW */
    const char *program;    /* "noroshi" */
    const char *command;    /* "hunt" */
    const char *home;       /* default home; never NULL */
    char home_default[512]; /* storage of HOME when it was derived */
    unsigned cpu;           /* nr_cpu_flags(), narrowed by NR_CPU */
};

enum cli_type {
    CLI_FLAG, /* bool: set to true */
    CLI_TEXT, /* const char *: the last one counts */
    CLI_LIST, /* struct cli_list: every one, in order */
    CLI_U64,  /* uint64_t: digits with an optional k, M, G or T (1000^n) */
    CLI_TIME, /* int64_t seconds: a day, RFC 3339 or epoch seconds */
    CLI_ZONE, /* int64_t seconds east of UTC: +0900 */
};

#define CLI_LIST_MAX ((size_t)64) /* times that one option may be repeated */

struct cli_list {
    const char *v[CLI_LIST_MAX];
    size_t n;
};

struct cli_option {
    const char *name; /* without the dashes */
    char letter;      /* short form, or 0 */
    enum cli_type type;
    void *to; /* where the value goes, by TYPE */
};

/*
 * Parse the options of a command: "--name value", "--name=value", "-n value",
 * "-nvalue", flags, "--" ends them. Options may stand between operands. ARGV
 * is permuted so that the operands come first, *OPERANDS of them, from argv[0]
 * on; argv[0] on entry is the first word after the command's name.
 * TABLE ends with a row whose name is NULL. An unknown option, a missing or
 * malformed value is named on stderr with USAGE; false then.
 */
bool cli_parse(const struct cli *cli, const struct cli_option *table,
    const char *usage, int argc, char **argv, int *operands) NR_MUST_USE;

/* Print "noroshi COMMAND: D" to stderr; returns CLI_ERROR. */
int cli_fail(const struct cli *cli, const struct nr_diag *d);

/* The same for a text of the command's own. */
int cli_error(const struct cli *cli, const char *fmt, ...) NR_PRINTF(2, 3);

/* As cli_error, but only a warning. */
void cli_warn(const struct cli *cli, const char *fmt, ...) NR_PRINTF(2, 3);

/* Print "usage: PROGRAM COMMAND USAGE" to stderr; returns CLI_ERROR. */
int cli_usage(const struct cli *cli, const char *usage);

/*
 * Fill CLI from argv[0], NOROSHI_NOW, NOROSHI_HOME and NR_CPU; *OFFSET_US must live as
 * long as CLI. NR_EFORMAT when NOROSHI_NOW is no time or NR_CPU no number.
 */
enum nr_err cli_init(struct cli *cli, const char *program, int64_t *offset_us,
    struct nr_diag *d) NR_MUST_USE;

struct cli_command {
    const char *name;
    int (*run)(struct cli *cli, int argc, char **argv);
    const char *help; /* one line */
};

/*
 * main() of a program whose first word names a command of TABLE (ends with a
 * NULL name): --help, --version, unknown commands, flushed output (an output
 * that cannot be written is an error, not a success).
 */
int cli_main(const char *program, const struct cli_command *table, int argc,
    char **argv);

#endif
