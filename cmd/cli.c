#include "cli.h"

#include "base/cpu.h"
#include "base/date.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void say(const struct cli *cli, const char *fmt, va_list ap)
    NR_PRINTF(2, 0);

static void
say(const struct cli *cli, const char *fmt, va_list ap)
{
    (void)fprintf(stderr, "%s%s%s: ", cli->program, cli->command ? " " : "",
        cli->command ? cli->command : "");
    (void)vfprintf(stderr, fmt, ap);
    (void)fputc('\n', stderr);
}

int
cli_error(const struct cli *cli, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    say(cli, fmt, ap);
    va_end(ap);
    return CLI_ERROR;
}

void
cli_warn(const struct cli *cli, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    say(cli, fmt, ap);
    va_end(ap);
}

int
cli_fail(const struct cli *cli, const struct nr_diag *d)
{
    char text[1024];

    nr_diag_print(d, text, sizeof(text));
    return cli_error(cli, "%s", text);
}

int
cli_usage(const struct cli *cli, const char *usage)
{
    (void)fprintf(stderr, "usage: %s %s %s\n", cli->program,
        cli->command ? cli->command : "", usage);
    return CLI_ERROR;
}

static bool
scaled(const char *text, uint64_t *out)
{
    static const char units[] = "kMGT";
    struct nr_str s = nr_str_of(text);
    const char *unit = s.n > 0 ? strchr(units, s.p[s.n - 1]) : NULL;

    if (unit)
        s.n--;
    if (!nr_str_to_u64(s, out))
        return false;
    for (; unit && unit >= units; unit--)
        if (__builtin_mul_overflow(*out, 1000, out))
            return false;
    return true;
}

/* Store TEXT where O wants it. What is wrong with it, or NULL. */
static const char *
store(const struct cli_option *o, const char *text)
{
    struct cli_list *list = o->to;

    switch (o->type) {
    case CLI_FLAG:
        *(bool *)o->to = true;
        return NULL;
    case CLI_TEXT:
        *(const char **)o->to = text;
        return NULL;
    case CLI_LIST:
        if (list->n == CLI_LIST_MAX)
            return "is given too often";
        list->v[list->n++] = text;
        return NULL;
    case CLI_U64:
        return scaled(text, o->to) ? NULL
                                   : "needs a number (suffix k, M, G or T)";
    case CLI_TIME:
        return nr_time_parse(nr_str_of(text), o->to, NULL)
            ? "needs a day (2017-08-21), RFC 3339 time or epoch seconds"
            : NULL;
    case CLI_ZONE:
        return nr_zone_parse(nr_str_of(text), o->to)
            ? NULL
            : "needs a zone like +0900";
    }
    return "has no type";
}

static const struct cli_option *
by_name(const struct cli_option *table, const char *name, size_t n)
{
    for (; table->name; table++)
        if (strlen(table->name) == n && memcmp(table->name, name, n) == 0)
            return table;
    return NULL;
}

static const struct cli_option *
by_letter(const struct cli_option *table, char letter)
{
    for (; table->name; table++)
        if (table->letter == letter)
            return table;
    return NULL;
}

/*
 * The option that WORD names; *VALUE is what follows in the same word, or NULL.
 * "-fx" is the option -f with the value x, or the flags -f and -x: then *MORE
 * points at what is left to read.
 */
static const struct cli_option *
find(const struct cli_option *table, const char *word, const char **value,
    const char **more)
{
    const struct cli_option *o;
    const char *equal;

    *value = *more = NULL;
    if (word[0] == '-' && word[1] == '-') {
        equal = strchr(word, '=');
        *value = equal ? equal + 1 : NULL;
        return by_name(table, word + 2,
            equal ? (size_t)(equal - word - 2) : strlen(word + 2));
    }
    o = by_letter(table, word[1]);
    if (o && word[2] && o->type == CLI_FLAG)
        *more = word + 1;
    else if (o && word[2])
        *value = word + 2;
    return o;
}

static bool
one_option(const struct cli *cli, const struct cli_option *table,
    const char *word, char **next, int *used)
{
    const char *value, *more, *wrong;
    char letters[3] = "-";
    const struct cli_option *o;

    do {
        o = find(table, word, &value, &more);
        if (!o) {
            (void)cli_error(cli, "%s: unknown option", word);
            return false;
        }
        if (o->type == CLI_FLAG && value) {
            (void)cli_error(cli, "--%s takes no value", o->name);
            return false;
        }
        if (o->type != CLI_FLAG && !value) {
            value = *next;
            *used = 1;
        }
        if (o->type != CLI_FLAG && !value) {
            (void)cli_error(cli, "--%s needs a value", o->name);
            return false;
        }
        wrong = store(o, value);
        if (wrong) {
            (void)cli_error(cli, "--%s %s: %s", o->name, wrong,
                value ? value : "");
            return false;
        }
        if (more && more[1]) {
            letters[1] = more[1];
            word = more[2] ? more : letters;
        }
    } while (more && more[1]);
    return true;
}

bool
cli_parse(const struct cli *cli, const struct cli_option *table,
    const char *usage, int argc, char **argv, int *operands)
{
    bool ended = false;
    int n = 0;

    for (int i = 0; i < argc; i++) {
        int used = 0;

        if (ended || argv[i][0] != '-' || !argv[i][1]) {
            argv[n++] = argv[i];
            continue;
        }
        if (strcmp(argv[i], "--") == 0) {
            ended = true;
            continue;
        }
        if (!one_option(cli, table, argv[i], argv + i + 1, &used)) {
            (void)cli_usage(cli, usage);
            return false;
        }
        i += used;
    }
    *operands = n;
    return true;
}

static enum nr_err
inject_now(int64_t *offset_us, struct nr_diag *d)
{
    const char *now = getenv("NOROSHI_NOW");
    int64_t zero = 0, us = 0;
    struct nr_env env;
    enum nr_err err;

    *offset_us = 0;
    if (!now || !*now)
        return NR_OK;
    /* With its fraction: processes started one after another then agree. */
    err = nr_rfc3339_parse(nr_bytes_of(nr_str_of(now)), &us, NULL);
    if (err) {
        err = nr_time_parse(nr_str_of(now), &us, d);
        us *= NR_US_PER_S;
    }
    nr_diag_add_name(d, err ? "NOROSHI_NOW" : NULL);
    if (err)
        return err;
    nr_env_system(&env, &zero);
    *offset_us = us - env.now_us(env.ctx);
    return NR_OK;
}

static void
default_home(struct cli *cli)
{
    const char *named = getenv("NOROSHI_HOME"), *user = getenv("HOME");

    cli->home = "/var/lib/noroshi";
    if (named && *named) {
        cli->home = named;
    } else if (user && *user) {
        int n = snprintf(cli->home_default, sizeof(cli->home_default),
            "%s/.noroshi", user);

        if (n > 0 && (size_t)n < sizeof(cli->home_default))
            cli->home = cli->home_default;
    }
}

/* NR_CPU: the features that kernels may use, a bit mask (base/cpu.h). */
static enum nr_err
find_cpu(unsigned *cpu, struct nr_diag *d)
{
    const char *mask = getenv("NR_CPU");
    unsigned long v = NR_CPU_ALL;
    char *end = NULL;

    if (mask && *mask) {
        v = strtoul(mask, &end, 0);
        if (*end != '\0' || *mask == '-')
            return nr_fail_name(d, NR_EFORMAT, "a bit mask wanted, as 0x1",
                "NR_CPU");
    }
    *cpu = nr_cpu_flags() & (unsigned)(v & NR_CPU_ALL);
    return NR_OK;
}

enum nr_err
cli_init(struct cli *cli, const char *program, int64_t *offset_us,
    struct nr_diag *d)
{
    *cli = (struct cli){ .program = program };
    default_home(cli);
    nr_env_system(&cli->env, offset_us);
    if (find_cpu(&cli->cpu, d) != NR_OK)
        return NR_EFORMAT;
    return inject_now(offset_us, d);
}

static int
print_help(const char *program, const struct cli_command *table)
{
    printf("usage: %s COMMAND [OPTION...] [OPERAND...]\n\n", program);
    for (; table->name; table++)
        printf("  %-12s %s\n", table->name, table->help);
    printf("\nThe manual page %s tells the options of each.\n", program);
    return 0;
}

static int
run_command(const char *program, const struct cli_command *table, int argc,
    char **argv)
{
    struct nr_diag d = { 0 };
    int64_t offset_us = 0;
    struct cli cli;

    if (cli_init(&cli, program, &offset_us, &d))
        return cli_fail(&cli, &d);
    for (; table->name; table++) {
        if (strcmp(table->name, argv[1]) != 0)
            continue;
        cli.command = table->name;
        return table->run(&cli, argc - 2, argv + 2);
    }
    return cli_error(&cli, "%s: no such command; %s --help lists them", argv[1],
        program);
}

int
cli_main(const char *program, const struct cli_command *table, int argc,
    char **argv)
{
    int status = 0;

    if (argc < 2) {
        (void)fprintf(stderr, "usage: %s COMMAND ...; %s --help lists them\n",
            program, program);
        return CLI_ERROR;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0)
        status = print_help(program, table);
    else if (strcmp(argv[1], "--version") == 0)
        printf("%s %s\n", program, NR_VERSION);
    else
        status = run_command(program, table, argc, argv);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        (void)fprintf(stderr, "%s: standard output: %s\n", program,
            strerrordesc_np(errno));
        return CLI_ERROR;
    }
    return status;
}
