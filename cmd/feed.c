/* noroshi feed: lists that are fetched again and again, kept in HOME/lists. */
#include "cmds.h"
#include "feed_print.h"

#include "base/date.h"
#include "base/file.h"
#include "member/member.h"
#include "observable/observable.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME_MAX_LEN ((size_t)64) /* octets of a feed's name */
#define FEEDS_MAX    ((size_t)10000)
#define MEMORY       ((size_t)16 << 20)
#define NOTES_SHOWN  ((size_t)5)

static const char usage[] =
    "add NAME URL|PATH [--format FORMAT] | pull [NAME..] | ls\n"
    "       [--warninglists DIR|none] [--home DIR]";

/* HOME/lists/NAME.feed: "key = value" lines. */
struct feed_file {
    char at[NR_PATH_MAX];
    struct nr_feed_where where;
    int64_t pulled_s; /* NR_TIME_NONE: never */
};

static bool
is_name(const char *s)
{
    size_t n = strlen(s);

    for (size_t i = 0; i < n; i++)
        if (!nr_is_alpha((uint8_t)s[i]) && !nr_is_digit((uint8_t)s[i]) &&
            s[i] != '-' && s[i] != '_')
            return false;
    return n > 0 && n <= NAME_MAX_LEN;
}

static enum nr_err
path_of(const struct cli *cli, const char *name, const char *suffix, char *buf,
    struct nr_diag *d)
{
    char file[NAME_MAX_LEN + 32];

    (void)snprintf(file, sizeof(file), "lists/%s%s", name, suffix);
    return nr_path_join(buf, cli->home, file, d);
}

static void
keep(struct nr_str v, char *to, size_t n)
{
    size_t k = v.n < n ? v.n : n - 1;

    memcpy(to, v.p, k);
    to[k] = '\0';
}

static enum nr_err
read_feed(const struct cli *cli, const char *name, struct feed_file *f,
    struct nr_diag *d)
{
    char path[NR_PATH_MAX];
    struct nr_bytes in = { 0 };
    struct nr_str text, line;
    struct nr_arena a;
    enum nr_err err;

    *f = (struct feed_file){ .pulled_s = NR_TIME_NONE };
    nr_arena_init(&a, MEMORY);
    err = path_of(cli, name, ".feed", path, d);
    if (!err)
        err = nr_file_read(&a, path, MEMORY / 2, &in, d);
    if (!err && !nr_str_from_utf8(in, &text))
        err = nr_fail_name(d, NR_EDAMAGED, "feed: not UTF-8", path);
    while (!err && text.n) {
        struct nr_str v, k;

        line = nr_str_cut(text, '\n', &text);
        k = nr_str_trim(nr_str_cut(line, '=', &v));
        v = nr_str_trim(v);
        if (nr_str_eq(k, NR_STR("at")))
            keep(v, f->at, sizeof(f->at));
        else if (nr_str_eq(k, NR_STR("etag")))
            keep(v, f->where.etag, sizeof(f->where.etag));
        else if (nr_str_eq(k, NR_STR("modified")))
            keep(v, f->where.modified, sizeof(f->where.modified));
        else if (nr_str_eq(k, NR_STR("format")) &&
            !nr_feed_format_from_name(v, &f->where.format))
            err = nr_fail_name(d, NR_EDAMAGED, "feed: unknown format", path);
        else if (nr_str_eq(k, NR_STR("pulled")) &&
            nr_time_parse(v, &f->pulled_s, d))
            err = NR_EFORMAT;
    }
    nr_arena_fini(&a);
    return err;
}

static enum nr_err
write_feed(const struct cli *cli, const char *name, const struct feed_file *f,
    struct nr_diag *d)
{
    char path[NR_PATH_MAX], dir[NR_PATH_MAX], when[NR_RFC3339_MAX];
    struct nr_buf b;
    enum nr_err err = nr_path_join(dir, cli->home, "lists", d);

    nr_buf_init(&b, MEMORY);
    nr_buf_printf(&b, "at = %s\nformat = %s\n", f->at,
        nr_feed_format_name(f->where.format));
    if (f->where.etag[0])
        nr_buf_printf(&b, "etag = %s\n", f->where.etag);
    if (f->where.modified[0])
        nr_buf_printf(&b, "modified = %s\n", f->where.modified);
    if (f->pulled_s != NR_TIME_NONE)
        nr_buf_printf(&b, "pulled = %s\n", nr_time_print(f->pulled_s, when));
    if (!err)
        err = nr_dir_make(dir, 0700, d);
    if (!err)
        err = path_of(cli, name, ".feed", path, d);
    if (!err && b.err)
        err = nr_fail(d, b.err, 0, "feed: out of memory");
    if (!err)
        err = nr_file_replace(path, nr_buf_bytes(&b), 0600, d);
    nr_buf_fini(&b);
    return err;
}

static int
add(struct cli *cli, const char *name, const char *at, const char *format)
{
    struct feed_file f = { .pulled_s = NR_TIME_NONE };
    struct nr_diag d = { 0 };
    char *whole = NULL;
    enum nr_err err;

    if (!is_name(name))
        return cli_error(cli,
            "a feed's name has up to 64 letters, digits, "
            "'-' and '_': %s",
            name);
    if (!nr_feed_format_from_name(nr_str_of(format), &f.where.format))
        return cli_error(cli,
            "--format: none of auto, stix, misp, csv, text, "
            "compiled: %s",
            format);
    if (!strstr(at, "://")) { /* the command may run elsewhere next time */
        whole = realpath(at, NULL);
        if (!whole)
            return cli_error(cli, "no such file or directory: %s", at);
        at = whole;
    } else if (strncmp(at, "http://", 7) != 0 &&
        strncmp(at, "https://", 8) != 0) {
        return cli_error(cli, "only http:// and https:// can be fetched: %s",
            at);
    }
    err = strlen(at) < sizeof(f.at) && !strchr(at, '\n')
        ? nr_home_check(cli->home, &d)
        : nr_fail(&d, NR_ELIMIT, 0, "feed: the address is too long");
    (void)snprintf(f.at, sizeof(f.at), "%s", at);
    free(whole);
    if (!err)
        err = write_feed(cli, name, &f, &d);
    return err ? cli_fail(cli, &d) : CLI_NOTHING;
}

static enum nr_err
pull_one(struct cli *cli, const char *name, const char *lists,
    struct nr_diag *d)
{
    struct nr_warnlists *w = NULL;
    struct nr_feed *f = NULL;
    struct nr_feed_stats st = { 0 };
    struct feed_file file;
    char path[NR_PATH_MAX];
    bool unchanged = false;
    enum nr_err err = read_feed(cli, name, &file, d);

    file.where.at = file.at;
    if (!err)
        err = path_of(cli, name, ".nrw", path, d);
    if (!err && access(path, R_OK) != 0) /* the list is gone: all again */
        file.where.etag[0] = file.where.modified[0] = '\0';
    if (!err)
        err = feed_open(cli, lists, &w, &f, d);
    if (!err)
        err = nr_feed_pull(f, &file.where, &unchanged, d);
    if (!err && unchanged) {
        printf("feed\t%s\tnot changed\n", name);
    } else if (!err) {
        nr_feed_stats(f, &st);
        printf("feed\t%s\n", name);
        feed_print(cli, f, NOTES_SHOWN);
        err = st.indicators
            ? nr_feed_write(f, path, nr_env_now_s(&cli->env), d)
            : nr_fail_name(d, NR_EFORMAT,
                  "feed: no indicator found; the old list stays", file.at);
    }
    if (!err) {
        file.pulled_s = nr_env_now_s(&cli->env);
        err = write_feed(cli, name, &file, d);
    }
    nr_feed_destroy(f);
    nr_warn_destroy(w);
    return err;
}

/* Names of all feeds of the home, in A. */
static enum nr_err
feeds(const struct cli *cli, struct nr_arena *a, const char ***v, size_t *n,
    struct nr_diag *d)
{
    struct nr_names all = { 0 };
    struct nr_diag none = { 0 };
    char dir[NR_PATH_MAX];
    enum nr_err err = nr_path_join(dir, cli->home, "lists", d);

    *n = 0;
    if (err)
        return err;
    err = nr_dir_list(a, dir, FEEDS_MAX, &all, &none);
    if (err && none.err != NR_ENOTFOUND && none.sys != 2) {
        *d = none;
        return err;
    }
    *v = nr_new(a, const char *, all.n + 1);
    if (!*v)
        return nr_fail(d, NR_ENOMEM, 0, "feed: out of memory");
    for (size_t i = 0; i < all.n; i++) {
        size_t len = strlen(all.v[i]);
        char *name;

        if (len < 6 || strcmp(all.v[i] + len - 5, ".feed") != 0)
            continue;
        name = nr_new(a, char, len);
        if (!name)
            return nr_fail(d, NR_ENOMEM, 0, "feed: out of memory");
        memcpy(name, all.v[i], len - 5);
        if (is_name(name))
            (*v)[(*n)++] = name;
    }
    return NR_OK;
}

static int
pull(struct cli *cli, const char *const *names, size_t n, const char *lists)
{
    struct nr_diag d = { 0 };
    const char **all = NULL;
    int status = CLI_NOTHING;
    struct nr_arena a;
    enum nr_err err = NR_OK;

    nr_arena_init(&a, MEMORY);
    if (!n) {
        err = feeds(cli, &a, &all, &n, &d);
        names = all;
        if (!err && !n)
            status = cli_error(cli, "no feed here; see `noroshi feed add`");
    }
    if (!err && curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        err = nr_fail(&d, NR_ESYS, 0, "feed: libcurl does not start");
    if (err)
        status = cli_fail(cli, &d);
    for (size_t i = 0; i < n && !err; i++) {
        struct nr_diag why = { 0 };

        if (!is_name(names[i])) {
            status = cli_error(cli, "no such feed: %s", names[i]);
        } else if (pull_one(cli, names[i], lists, &why)) {
            (void)cli_fail(cli, &why); /* the others are pulled all the same */
            status = n > 1 ? CLI_INCOMPLETE : CLI_ERROR;
        }
    }
    nr_arena_fini(&a);
    return status;
}

static int
list(struct cli *cli)
{
    struct nr_diag d = { 0 };
    const char **names = NULL;
    int status = CLI_NOTHING;
    struct nr_arena a;
    size_t n = 0;
    enum nr_err err;

    nr_arena_init(&a, MEMORY);
    err = feeds(cli, &a, &names, &n, &d);
    for (size_t i = 0; i < n && !err; i++) {
        struct nr_watchlist *w = NULL;
        struct nr_diag why = { 0 };
        struct feed_file f;
        char path[NR_PATH_MAX], when[NR_RFC3339_MAX] = "never";
        long long count = -1;

        if (read_feed(cli, names[i], &f, &why) ||
            path_of(cli, names[i], ".nrw", path, &why)) {
            (void)cli_fail(cli, &why);
            status = CLI_INCOMPLETE;
            continue;
        }
        if (nr_watchlist_open(path, &w, NULL) == NR_OK)
            count = (long long)nr_watchlist_count(w);
        nr_watchlist_close(w);
        if (f.pulled_s != NR_TIME_NONE)
            (void)nr_time_print(f.pulled_s, when);
        printf("%s\t%s\t%s\t%s\t", names[i],
            nr_feed_format_name(f.where.format), when, f.at);
        if (count < 0)
            printf("-\n");
        else
            printf("%lld\n", count);
    }
    if (err)
        status = cli_fail(cli, &d);
    nr_arena_fini(&a);
    return status;
}

int
cmd_feed(struct cli *cli, int argc, char **argv)
{
    const char *format = "auto", *lists = NULL;
    const struct cli_option table[] = {
        { "format", 0, CLI_TEXT, &format },
        { "warninglists", 0, CLI_TEXT, &lists },
        { "home", 0, CLI_TEXT, &cli->home },
        { NULL, 0, CLI_FLAG, NULL },
    };
    int n;

    if (!cli_parse(cli, table, usage, argc, argv, &n))
        return CLI_ERROR;
    if (n == 3 && strcmp(argv[0], "add") == 0)
        return add(cli, argv[1], argv[2], format);
    if (n >= 1 && strcmp(argv[0], "pull") == 0)
        return pull(cli, (const char *const *)argv + 1, (size_t)n - 1, lists);
    if (n == 1 && strcmp(argv[0], "ls") == 0)
        return list(cli);
    return cli_usage(cli, usage);
}
