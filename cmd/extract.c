/* noroshi extract: every observable of any text or document, as rows. */
#include "extract/extract.h"

#include "base/file.h"
#include "base/num.h"
#include "block.h"
#include "cmds.h"
#include "paths.h"
#include "warn.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SPOOL_PIECE ((size_t)1 << 16) /* octets copied at a time */
/* Kinds that are named by another look at what is printed anyway: only when
 * asked for. */
#define KINDS_ASKED (1u << NR_KIND_JA3 | 1u << NR_KIND_FILENAME)

static const char usage[] =
    "[--kinds KIND,...] [--unique [--sort count|value|first]]\n"
    "       [--memory OCTETS] [--offset] [--context OCTETS | -C] [--defang]\n"
    "       [--known mark|drop] [--warninglists DIR|none] [--home DIR]\n"
    "       [--fangs] [--raw] [--converters DIR] [--time-limit SECONDS]\n"
    "       [--json] [-r] [FILE...]";

struct extract {
    struct cli *cli;
    const char *kinds, *sort, *known, *warninglists;
    uint64_t context, memory, seconds;
    bool recurse, raw, fangs;
    struct nr_extract_options o;
    struct nr_converters converters;
    struct nr_extract *x;
    struct nr_tokens tokens;
    bool incomplete;
};

static void
problem(void *ctx, const struct nr_diag *d)
{
    struct extract *e = ctx;

    e->incomplete = true;
    (void)cli_fail(e->cli, d);
}

static enum nr_err
write_out(void *ctx, struct nr_bytes b, struct nr_diag *d)
{
    (void)ctx;
    return nr_fd_write(STDOUT_FILENO, b, d);
}

/* The text of IN as rows. A failure to read it is a problem, the rest fatal. */
static enum nr_err
read_text(struct extract *e, struct nr_input *in, struct nr_diag *d)
{
    struct nr_diag why = { 0 };
    struct nr_block b = { 0 }, part;
    enum nr_err err = NR_OK;

    while (err == NR_OK) {
        struct nr_extract_at at = { 0 };

        if (nr_input_next(in, &b, &why) != NR_OK) {
            problem(e, &why);
            break;
        }
        if (b.text.n == 0)
            break;
        while (err == NR_OK &&
            nr_extract_part(e->x, &b, e->tokens.flags, &at, &part)) {
            err = block_scan(&part, e->cli->cpu, &e->tokens);
            err = err ? nr_fail(d, err, 0, "extract: out of memory")
                      : nr_extract_tokens(e->x, &part, &e->tokens, d);
        }
    }
    return err;
}

static enum nr_err
read_fd(struct extract *e, int fd, const char *name, bool fangs,
    const struct nr_input_options *o, struct nr_diag *d)
{
    struct nr_diag why = { 0 };
    struct nr_input *in = NULL;
    enum nr_err err = nr_extract_file(e->x, name, d);

    if (err)
        return err;
    e->tokens.flags = nr_extract_scan_flags(e->x, fangs);
    if (nr_input_from_fd(fd, name, o, &in, &why) != NR_OK) {
        problem(e, &why);
        return NR_OK;
    }
    err = read_text(e, in, d);
    nr_input_free(in);
    return err;
}

/* A document by its converter, what came before a failure too. */
static enum nr_err
read_document(struct extract *e, int fd, enum nr_document kind,
    const char *name, struct nr_diag *d)
{
    struct nr_diag why = { 0 };
    size_t unread = 0;
    int text = -1;
    enum nr_err failed = nr_document_convert(fd, kind, name, &e->converters,
                    &text, &unread, &why),
                err = NR_OK;
    struct stat st;

    if (text >= 0 && fstat(text, &st) == 0 && st.st_size > 0)
        err = read_fd(e, text, name, true, NULL, d);
    if (text >= 0)
        (void)close(text);
    if (failed)
        problem(e, &why);
    if (unread > 0) {
        cli_warn(e->cli,
            "%s: attachments of a form that is not read: %zu; "
            "save and unpack them",
            name, unread);
        e->incomplete = true;
    }
    return err;
}

/* HEAD, and what is left of FD, in a memory file. */
static int
spool(int fd, struct nr_bytes head, const char *name, struct nr_diag *why)
{
    int to = memfd_create("noroshi", MFD_CLOEXEC);
    uint8_t piece[SPOOL_PIECE / 8];
    size_t all = head.n;
    ssize_t n = 1;

    if (to < 0) {
        (void)nr_fail_file(why, "extract: memfd_create", name);
        return -1;
    }
    if (nr_fd_write(to, head, why) != NR_OK)
        goto fail;
    while (n != 0) {
        n = read(fd, piece, sizeof(piece));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            (void)nr_fail_file(why, "extract: read", name);
            goto fail;
        }
        all += (size_t)n;
        if (all > NR_DOCUMENT_MAX) {
            (void)nr_fail_name(why, NR_ELIMIT, "document: larger than 256 MiB",
                name);
            goto fail;
        }
        if (nr_fd_write(to, (struct nr_bytes){ piece, (size_t)n }, why) !=
            NR_OK)
            goto fail;
    }
    return to;
fail:
    (void)close(to);
    return -1;
}

/* The first octets of FD; of a file that can seek they stay to be read. */
static struct nr_bytes
peek(int fd, bool seeks, uint8_t head[NR_DOCUMENT_HEAD])
{
    size_t got = 0;
    ssize_t n = 1;

    while (got < NR_DOCUMENT_HEAD && n != 0) {
        n = seeks ? pread(fd, head + got, NR_DOCUMENT_HEAD - got, (off_t)got)
                  : read(fd, head + got, NR_DOCUMENT_HEAD - got);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            break; /* told when it is read on */
        got += (size_t)n;
    }
    return (struct nr_bytes){ head, got };
}

static enum nr_err
read_any(struct extract *e, int fd, const char *name, struct nr_diag *d)
{
    bool seeks = lseek(fd, 0, SEEK_CUR) >= 0;
    struct nr_input_options o = { 0 };
    struct nr_diag why = { 0 };
    uint8_t head[NR_DOCUMENT_HEAD];
    enum nr_document kind;
    enum nr_err err;

    if (e->raw)
        return read_fd(e, fd, name, e->fangs, NULL, d);
    o.head = peek(fd, seeks, head);
    kind = nr_document_of(o.head, name);
    if (kind != NR_DOCUMENT_NONE && !seeks) {
        fd = spool(fd, o.head, name, &why);
        if (fd < 0) {
            problem(e, &why);
            return NR_OK;
        }
        err = read_document(e, fd, kind, name, d);
        (void)close(fd);
        return err;
    }
    if (kind != NR_DOCUMENT_NONE)
        return read_document(e, fd, kind, name, d);
    if (seeks)
        o.head.n = 0;
    return read_fd(e, fd, name, e->fangs, &o, d);
}

static enum nr_err
file(struct extract *e, const char *path, struct nr_diag *d)
{
    struct nr_diag why = { 0 };
    enum nr_err err;
    int fd;

    if (strcmp(path, "-") == 0)
        return read_any(e, STDIN_FILENO, path, d);
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        (void)nr_fail_file(&why, "extract: cannot be opened", path);
        problem(e, &why);
        return NR_OK;
    }
    err = read_any(e, fd, path, d);
    (void)close(fd);
    return err;
}

static bool
choose_kinds(struct extract *e)
{
    struct nr_str rest = nr_str_of(e->kinds);

    if (!e->kinds) {
        e->o.kinds = ((1u << NR_KINDS) - 1) & ~KINDS_ASKED;
        return true;
    }
    while (rest.n > 0) {
        struct nr_str name = nr_str_trim(nr_str_cut(rest, ',', &rest));
        enum nr_kind kind;

        if (!nr_kind_from_name(name, &kind)) {
            (void)cli_error(e->cli, "%.*s: no such kind of observable",
                NR_FMT(name));
            return false;
        }
        e->o.kinds |= 1u << kind;
        if (kind == NR_KIND_WALLET_BTC && nr_str_eq(name, NR_STR("wallet")))
            e->o.kinds |= 1u << NR_KIND_WALLET_ETH;
    }
    return true;
}

/* Index of WORD among the N names; N, with a message, when it is none. */
static size_t
word(struct extract *e, const char *option, const char *text,
    const char *const *names, size_t n)
{
    size_t i = 0;

    while (i < n && strcmp(text, names[i]) != 0)
        i++;
    if (i == n)
        (void)cli_error(e->cli, "--%s: %s: no such choice", option, text);
    return i;
}

static bool
choose(struct extract *e)
{
    static const char *const sorts[] = { "count", "value", "first" };
    static const char *const knowns[] = { "mark", "drop" };
    size_t sort = e->sort ? word(e, "sort", e->sort, sorts, 3) : 0;
    size_t known = e->known ? word(e, "known", e->known, knowns, 2) : 0;

    if (sort == 3 || known == 2 || !choose_kinds(e))
        return false;
    if (e->context > NR_EXTRACT_CONTEXT) {
        (void)cli_error(e->cli, "--context: at most %zu octets",
            NR_EXTRACT_CONTEXT);
        return false;
    }
    if ((e->sort || e->memory > 0) && !e->o.unique) {
        (void)cli_error(e->cli, "--sort and --memory go with --unique");
        return false;
    }
    if (e->seconds > 24 * 3600) {
        (void)cli_error(e->cli, "--time-limit: at most a day, in seconds");
        return false;
    }
    e->converters.seconds = (unsigned)e->seconds;
    e->o.context = (size_t)e->context;
    e->o.memory = e->memory;
    e->o.sort = (enum nr_extract_sort)sort;
    if (e->known)
        e->o.known = known == 0 ? NR_KNOWN_MARKED : NR_KNOWN_DROPPED;
    return true;
}

static enum nr_err
run(struct extract *e, struct paths *paths, struct nr_diag *d)
{
    const struct nr_extract_sink sink = { write_out, NULL };
    enum nr_err err;

    err = nr_extract_create(&e->o, sink, &e->cli->env, &e->x, d);
    for (size_t i = 0; i < paths->n && !err; i++)
        err = file(e, paths->v[i], d);
    if (!err)
        err = nr_extract_finish(e->x, d);
    return err;
}

int
cmd_extract(struct cli *cli, int argc, char **argv)
{
    static char standard_input[] = "-";
    char *none[] = { standard_input };
    struct extract e = { .cli = cli };
    struct nr_warnlists *warn = NULL;
    const struct cli_option options[] = {
        { "kinds", 'k', CLI_TEXT, &e.kinds },
        { "unique", 'u', CLI_FLAG, &e.o.unique },
        { "sort", 0, CLI_TEXT, &e.sort },
        { "memory", 0, CLI_U64, &e.memory },
        { "offset", 0, CLI_FLAG, &e.o.offset },
        { "context", 0, CLI_U64, &e.context },
        { "line", 'C', CLI_FLAG, &e.o.whole_line },
        { "defang", 0, CLI_FLAG, &e.o.defang },
        { "known", 0, CLI_TEXT, &e.known },
        { "warninglists", 0, CLI_TEXT, &e.warninglists },
        { "home", 0, CLI_TEXT, &cli->home },
        { "fangs", 0, CLI_FLAG, &e.fangs },
        { "raw", 0, CLI_FLAG, &e.raw },
        { "converters", 0, CLI_TEXT, &e.converters.dir },
        { "time-limit", 0, CLI_U64, &e.seconds },
        { "recursive", 'r', CLI_FLAG, &e.recurse },
        { "json", 0, CLI_FLAG, &e.o.json },
        { NULL, 0, CLI_FLAG, NULL },
    };
    struct nr_diag d = { 0 };
    struct paths paths = { 0 };
    enum nr_err err = NR_OK;
    int n, status;

    if (!cli_parse(cli, options, usage, argc, argv, &n) || !choose(&e))
        return CLI_ERROR;
    e.o.cpu = cli->cpu;
    nr_tokens_init(&e.tokens, 0);
    if (!paths_gather(&paths, n > 0 ? argv : none, n > 0 ? n : 1, e.recurse,
            problem, &e))
        err = nr_fail(&d, NR_ELIMIT, 0, "extract: more than 1048576 files");
    if (!err && e.known)
        err = warn_load(cli, e.warninglists, &warn, &d);
    e.o.warn = warn;
    if (!err)
        err = run(&e, &paths, &d);
    if (err)
        status = cli_fail(cli, &d);
    else
        status = e.incomplete ? CLI_INCOMPLETE : CLI_NOTHING;
    nr_extract_destroy(e.x);
    nr_warn_destroy(warn);
    nr_tokens_fini(&e.tokens);
    paths_free(&paths);
    return status;
}
