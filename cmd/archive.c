/* noroshi archive: add, ls, stat; the rest is in archive_keep.c and
 * archive_repair.c, coverage in archive_coverage.c. */
#include "archive_coverage.h"
#include "archive_far.h"
#include "archive_keep.h"
#include "archive_key.h"

#include "archive/archive.h"
#include "base/file.h"
#include "cmds.h"
#include "logline/logline.h"
#include "member/member.h"
#include "paths.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PATH_OCTETS   NR_PATH_MAX
#define CONFIG_MEMORY ((size_t)1 << 20)

struct wanted {
    struct cli *cli;
    const char *dir;
    char dir_text[PATH_OCTETS];
    int64_t zone_east_s;
    const char *key_file;
    struct nr_archive_key key;
    bool recurse, growing, no_urls;
    uint64_t memory;
    size_t failed;
};

static void
problem(void *ctx, const struct nr_diag *d)
{
    struct wanted *w = ctx;

    w->failed++;
    (void)cli_fail(w->cli, d);
}

static enum nr_err
open_archive(struct wanted *w, enum nr_archive_mode mode,
    struct nr_archive **out, struct nr_diag *d)
{
    struct nr_archive_caller p = { .say = problem, .ctx = w };
    enum nr_err key;

    if (!w->dir) {
        enum nr_err err = nr_path_join(w->dir_text, w->cli->home, "archive", d);

        if (err)
            return err;
        w->dir = w->dir_text;
        /* The home of a first archive need not have been made by init. */
        if (mode == NR_ARCHIVE_WRITE && mkdir(w->cli->home, 0700) != 0 &&
            errno != EEXIST)
            return nr_fail_file(d, "directory: make", w->cli->home);
    }
    key = archive_key(w->cli, w->dir, w->key_file, &w->key, &p.key, d);
    return key ? key : nr_archive_open(w->dir, mode, &p, out, d);
}

/* add */

static double
now(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

struct bar {
    double start, shown;
    uint64_t total; /* octets of all files as they lie there */
};

static void
progress(void *ctx, uint64_t octets, uint64_t gone)
{
    struct bar *b = ctx;
    double t = now(), done = b->total ? (double)gone / (double)b->total : 0;
    double left;
    char marks[31];

    if (t - b->shown < 0.1)
        return;
    b->shown = t;
    done = done > 1 ? 1 : done; /* a file may grow meanwhile */
    left = done > 0.001 ? (t - b->start) * (1 - done) / done : 0;
    for (size_t i = 0; i < sizeof(marks) - 1; i++)
        marks[i] = (double)i < done * 30 ? '#' : '.';
    marks[30] = '\0';
    (void)fprintf(stderr, "\r[%s] %.1f MB, %.0f MB/s, %02u:%02u left ", marks,
        (double)octets / 1e6, (double)octets / 1e6 / (t - b->start + 1e-9),
        (unsigned)(left / 60), (unsigned)left % 60);
}

static uint64_t
total_size(const struct paths *files)
{
    uint64_t total = 0;
    struct stat st;

    for (size_t i = 0; i < files->n; i++)
        if (stat(files->v[i], &st) == 0 && S_ISREG(st.st_mode))
            total += (uint64_t)st.st_size;
    return total;
}

/* What the home's configuration says of adding, if it has one. */
static enum nr_err
configured(struct wanted *w, struct nr_archive_add_options *o,
    struct nr_diag *d)
{
    struct nr_config c = { 0 };
    struct nr_arena arena;
    struct nr_str v;
    enum nr_err err;

    nr_arena_init(&arena, CONFIG_MEMORY);
    err = nr_config_read(&arena, w->cli->home, &c, d);
    if (!err && nr_config_get(&c, NR_STR("index-urls"), &v))
        o->no_urls = o->no_urls || nr_str_eq(v, NR_STR("no"));
    nr_arena_fini(&arena);
    return err;
}

static int
add(struct wanted *w, int argc, char **argv)
{
    struct paths files = { 0 };
    struct bar bar = { now(), 0, 0 };
    bool tty = isatty(STDERR_FILENO) == 1;
    struct nr_archive_caller p = { .say = problem, .ctx = w };
    struct nr_archive_add_options o = { .now_s = nr_env_now_s(&w->cli->env),
        .zone_east_s = w->zone_east_s,
        .memory = w->memory,
        .growing = w->growing,
        .no_urls = w->no_urls,
        .progress = tty ? progress : NULL,
        .progress_ctx = &bar,
        .problem = &p };
    struct nr_archive_added got = { 0 };
    struct nr_archive *a = NULL;
    struct nr_clickhouse *c = NULL;
    struct nr_diag d = { 0 };
    double took;
    enum nr_err err = NR_OK;

    if (!w->dir)
        err = configured(w, &o, &d);
    if (err)
        return cli_fail(w->cli, &d);
    if (w->dir && nr_clickhouse_is(w->dir))
        err = o.no_urls ? nr_fail(&d, NR_EDENIED, 0,
                              "archive: --no-urls is for a directory; "
                              "ClickHouse finds URLs "
                              "by their index alone")
                        : nr_clickhouse_open(w->dir, true, &c, &d);
    else
        err = open_archive(w, NR_ARCHIVE_WRITE, &a, &d);

    if (!err && !paths_gather(&files, argv, argc, w->recurse, problem, w))
        err = nr_fail(&d, NR_ELIMIT, 0, "archive: more files than 1 M at once");
    bar.total = tty ? total_size(&files) : 0;
    if (!err && c)
        err = nr_clickhouse_add(c, (const char *const *)files.v, files.n, &o,
            &got, &d);
    else if (!err)
        err = nr_archive_add(a, (const char *const *)files.v, files.n, &o, &got,
            &d);
    took = now() - bar.start;
    if (tty)
        (void)fprintf(stderr, "\r\033[K");
    nr_archive_close(a);
    nr_clickhouse_close(c);
    paths_free(&files);
    if (a || c)
        (void)printf("files %llu known %llu lines %llu octets %llu "
                     "observations %llu segments %llu stored %llu MB/s %.1f\n",
            (unsigned long long)got.files, (unsigned long long)got.known,
            (unsigned long long)got.lines, (unsigned long long)got.octets,
            (unsigned long long)got.observations,
            (unsigned long long)got.segments, (unsigned long long)got.stored,
            (double)got.octets / 1e6 / (took + 1e-9));
    if (err)
        return cli_fail(w->cli, &d);
    return w->failed > 0 ? CLI_INCOMPLETE : CLI_NOTHING;
}

/* ls, stat */

static const char *
day(int64_t s, char *buf)
{
    return s == NR_TIME_NONE ? "-" : nr_day_print(nr_day_of(s), buf);
}

static void
print_mask(uint32_t mask, bool sources)
{
    const char *comma = "";

    for (unsigned i = 0; i < 32; i++) {
        if (!(mask >> i & 1))
            continue;
        (void)printf("%s%s", comma,
            sources ? nr_source_name((enum nr_source)i) : nr_log_kind_name(i));
        comma = ",";
    }
    (void)fputs(mask ? "" : "-", stdout);
}

static int
ls(struct wanted *w, const struct nr_archive *a)
{
    (void)w;
    for (size_t i = 0; i < nr_archive_segments(a); i++) {
        struct nr_segment_info s = nr_archive_segment(a, i);
        char from[NR_RFC3339_MAX], to[NR_RFC3339_MAX];

        (void)printf("%s\t%s\t%s\t%llu\t%llu\t%llu\t%llu\t", s.name,
            day(s.first_s, from), day(s.last_s, to),
            (unsigned long long)s.lines, (unsigned long long)s.files,
            (unsigned long long)s.text, (unsigned long long)s.stored);
        print_mask(s.sources, true);
        (void)fputc('\n', stdout);
    }
    return CLI_NOTHING;
}

static int
stat_archive(struct wanted *w, const struct nr_archive *a)
{
    struct nr_archive_stat st;
    char from[NR_RFC3339_MAX], to[NR_RFC3339_MAX];

    (void)w;
    nr_archive_stat(a, &st);
    (void)printf("segments\t%llu\ndamaged\t%llu\nfiles\t%llu\nlines\t%llu\n"
                 "blocks\t%llu\nobservables\t%llu\noctets\t%llu\nstored\t%llu\n"
                 "index\t%llu\nruns\t%llu\nratio\t%.3f\nfirst\t%s\nlast\t%s\n",
        (unsigned long long)st.segments, (unsigned long long)st.damaged,
        (unsigned long long)st.files, (unsigned long long)st.lines,
        (unsigned long long)st.blocks, (unsigned long long)st.observables,
        (unsigned long long)st.text, (unsigned long long)st.stored,
        (unsigned long long)st.index, (unsigned long long)st.runs,
        st.text ? (double)st.stored / (double)st.text : 0.0,
        day(st.first_s, from), day(st.last_s, to));
    if (st.without_urls > 0)
        (void)printf("segments without URLs in their index\t%llu\n",
            (unsigned long long)st.without_urls);
    for (unsigned k = 0; k < NR_LOG_KINDS; k++) {
        struct nr_archive_presence p = nr_archive_present(a, 1u << k);
        int64_t span = p.range.to - p.range.from + 1;

        if (p.days == 0)
            continue;
        (void)printf("days %s\t%llu\t%.3f\t%s\t%s\n", nr_log_kind_name(k),
            (unsigned long long)p.days, (double)p.days / (double)span,
            nr_day_print(p.range.from, from), nr_day_print(p.range.to, to));
    }
    return CLI_NOTHING;
}

static int
look(struct wanted *w, int (*show)(struct wanted *, const struct nr_archive *))
{
    struct nr_archive *a = NULL;
    struct nr_diag d = { 0 };
    int status;

    if (open_archive(w, NR_ARCHIVE_READ, &a, &d))
        return cli_fail(w->cli, &d);
    status = show(w, a);
    nr_archive_close(a);
    return w->failed > 0 ? CLI_INCOMPLETE : status;
}

static int
coverage(struct wanted *w, const struct archive_coverage *c)
{
    struct nr_archive *a = NULL;
    struct nr_clickhouse *ch = NULL;
    struct nr_diag d = { 0 };
    enum nr_err err;
    int status;

    if (w->dir && nr_clickhouse_is(w->dir)) {
        err = nr_clickhouse_open(w->dir, false, &ch, &d);
        if (!err)
            err = nr_clickhouse_presence(ch, &a, &d);
        nr_clickhouse_close(ch);
    } else {
        err = open_archive(w, NR_ARCHIVE_READ, &a, &d);
    }
    if (err)
        return cli_fail(w->cli, &d);
    status = archive_coverage(c, a);
    nr_archive_close(a);
    return w->failed > 0 ? CLI_INCOMPLETE : status;
}

int
cmd_archive(struct cli *cli, int argc, char **argv)
{
    static const char usage[] =
        "add [-r] [--tz +HHMM] [--memory N] [--growing] [--no-urls] FILE... | "
        "ls | stat | "
        "coverage [--from DAY] [--to DAY] [--kind KIND] [--json] [--ascii] | "
        "verify | repair SEG... | --all [--discard] | "
        "compact [--least N] [--span DAYS] [--memory N] [--dry-run] | prune "
        "--before DAY | "
        "--keep-days N | --keep-size OCTETS | "
        "--keep-kind KIND=DAYS... [-i LIST...] [--dry-run | --yes] | "
        "hold add NAME FROM TO [--reason TEXT] | hold ls | hold rm NAME | seal "
        "[--home DIR | --archive DIR] [--key FILE]";
    struct wanted w = { .cli = cli };
    struct archive_keep k = { .cli = cli, .before_s = NR_TIME_NONE };
    struct archive_coverage c = { .cli = cli,
        .from_s = NR_TIME_NONE,
        .to_s = NR_TIME_NONE };
    const struct cli_option table[] = {
        { "home", 0, CLI_TEXT, &cli->home },
        { "archive", 0, CLI_TEXT, &w.dir },
        { "key", 0, CLI_TEXT, &w.key_file },
        { "tz", 0, CLI_ZONE, &w.zone_east_s },
        { "recursive", 'r', CLI_FLAG, &w.recurse },
        { "memory", 0, CLI_U64, &w.memory },
        { "growing", 0, CLI_FLAG, &w.growing },
        { "no-urls", 0, CLI_FLAG, &w.no_urls },
        { "before", 0, CLI_TIME, &k.before_s },
        { "keep-days", 0, CLI_U64, &k.keep_days },
        { "keep-size", 0, CLI_U64, &k.keep_size },
        { "keep-kind", 0, CLI_LIST, &k.kinds },
        { "indicators", 'i', CLI_LIST, &k.lists },
        { "dry-run", 'n', CLI_FLAG, &k.dry_run },
        { "yes", 'y', CLI_FLAG, &k.yes },
        { "all", 0, CLI_FLAG, &k.all },
        { "discard", 0, CLI_FLAG, &k.discard },
        { "reason", 0, CLI_TEXT, &k.reason },
        { "least", 0, CLI_U64, &k.least },
        { "span", 0, CLI_U64, &k.span_days },
        { "from", 0, CLI_TIME, &c.from_s },
        { "to", 0, CLI_TIME, &c.to_s },
        { "kind", 0, CLI_TEXT, &c.kind },
        { "json", 0, CLI_FLAG, &c.json },
        { "ascii", 0, CLI_FLAG, &c.ascii },
        { NULL, 0, CLI_FLAG, NULL },
    };
    int n;

    if (!cli_parse(cli, table, usage, argc, argv, &n))
        return CLI_ERROR;
    k.dir = w.dir;
    k.key_file = w.key_file;
    k.memory = w.memory;
    if (n == 1 && strcmp(argv[0], "coverage") == 0)
        return coverage(&w, &c);
    if (w.dir && nr_clickhouse_is(w.dir) &&
        !(n > 1 && strcmp(argv[0], "add") == 0))
        return n == 1 && strcmp(argv[0], "stat") == 0
            ? archive_far_stat(cli, w.dir)
            : cli_error(cli,
                  "archive: in ClickHouse there are add, stat and coverage; "
                  "the "
                  "rest is the server's own business");
    if (n > 1 && strcmp(argv[0], "add") == 0)
        return add(&w, n - 1, argv + 1);
    if (n == 1 && strcmp(argv[0], "ls") == 0)
        return look(&w, ls);
    if (n == 1 && strcmp(argv[0], "stat") == 0)
        return look(&w, stat_archive);
    if (n == 1 && strcmp(argv[0], "verify") == 0)
        return archive_verify(&k);
    if (n > 0 && strcmp(argv[0], "repair") == 0)
        return archive_repair(&k, n - 1, argv + 1);
    if (n == 1 && strcmp(argv[0], "compact") == 0)
        return archive_compact(&k);
    if (n == 1 && strcmp(argv[0], "prune") == 0)
        return archive_prune(&k);
    if (n > 1 && strcmp(argv[0], "hold") == 0)
        return archive_hold(&k, n - 1, argv + 1);
    if (n == 1 && strcmp(argv[0], "seal") == 0)
        return archive_seal(cli, w.dir, w.key_file);
    return cli_usage(cli, usage);
}
