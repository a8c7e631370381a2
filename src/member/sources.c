/* Following log files: what changed, and taking it into the archive. */
#include "archive/archive.h"
#include "base/ct.h"
#include "member/agent.h"
#include "member/private.h"

#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOOK_MS     INT64_C(1000) /* between two looks without inotify */
#define BUSY_MS     INT64_C(1000) /* another one writes to the archive */
#define FAILED_MS   INT64_C(10000)
#define LIST_MEMORY ((size_t)64 << 20)
#define EVENTS      (IN_MODIFY | IN_CREATE | IN_MOVED_TO | IN_CLOSE_WRITE)

static bool
is_pattern(const char *s)
{
    return strpbrk(s, "*?[") != NULL;
}

/* The directory whose changes concern the source PATH; in place. For a pattern
 * it is the part before the first wildcard. */
static void
directory_of(char *path)
{
    struct stat st;
    char *end;

    if (!is_pattern(path) && stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return;
    end = strpbrk(path, "*?[");
    if (end)
        *end = 0;
    end = strrchr(path, '/');
    if (!end)
        memcpy(path, ".", 2);
    else if (end == path)
        path[1] = 0;
    else
        *end = 0;
}

enum nr_err
nr_sources_dirs(const struct nr_config *c, const char *home, struct nr_arena *a,
    const char ***out, struct nr_diag *d)
{
    const char **dirs = nr_new(a, const char *, c->n + 2);
    struct nr_str source;
    size_t at = 0, n = 0;

    (void)home;
    if (!dirs)
        return nr_fail(d, NR_ENOMEM, 0, "sources: no memory");
    while (nr_config_next(c, NR_STR("source"), &at, &source)) {
        char *path = nr_arena_text(a, (struct nr_str){ source.p, source.n });

        if (!path)
            return nr_fail(d, NR_ENOMEM, 0, "sources: no memory");
        if (path[0] != '/')
            return nr_fail_name(d, NR_EFORMAT,
                "config: a source is an absolute path", path);
        if (n == NR_SOURCES_MAX)
            return nr_fail_name(d, NR_ELIMIT, "config: too many sources", path);
        if (source.n == 1)
            return nr_fail_name(d, NR_EFORMAT,
                "config: the whole file system is no source", path);
        directory_of(path);
        dirs[n++] = path;
    }
    if (nr_config_get(c, NR_STR("warninglists"), &source)) {
        dirs[n] = nr_arena_text(a, source);
        if (!dirs[n++])
            return nr_fail(d, NR_ENOMEM, 0, "sources: no memory");
    }
    *out = dirs;
    return NR_OK;
}

/* --- listing --- */

static void
add_file(struct nr_arena *a, struct nr_names *out, const char *path)
{
    struct stat st;
    char *copy;

    if (out->n >= NR_SOURCES_MAX || stat(path, &st) != 0 ||
        !S_ISREG(st.st_mode))
        return;
    copy = nr_arena_text(a, (struct nr_str){ path, strlen(path) });
    if (copy)
        out->v[out->n++] = copy;
}

static void
add_pattern(struct nr_arena *a, struct nr_names *out, const char *pattern)
{
    glob_t g = { 0 };

    if (glob(pattern, GLOB_NOSORT, NULL, &g) == 0)
        for (size_t i = 0; i < g.gl_pathc; i++)
            add_file(a, out, g.gl_pathv[i]);
    globfree(&g);
}

static void
add_directory(struct nr_arena *a, struct nr_names *out, const char *dir)
{
    struct nr_names names = { 0 };

    if (nr_dir_list(a, dir, NR_SOURCES_MAX, &names, NULL) != NR_OK)
        return;
    for (size_t i = 0; i < names.n; i++) {
        char path[NR_PATH_MAX];

        if (nr_path_join(path, dir, names.v[i], NULL) == NR_OK)
            add_file(a, out, path);
    }
}

static enum nr_err
list_files(const struct nr_agent *ag, struct nr_arena *a, struct nr_names *out,
    struct nr_diag *d)
{
    struct nr_str source;
    size_t at = 0;

    *out = (struct nr_names){ nr_new(a, const char *, NR_SOURCES_MAX), 0 };
    if (!out->v)
        return nr_fail(d, NR_ENOMEM, 0, "sources: no memory");
    while (nr_config_next(&ag->config, NR_STR("source"), &at, &source)) {
        char *path = nr_arena_text(a, source);
        struct stat st;

        if (!path)
            return nr_fail(d, NR_ENOMEM, 0, "sources: no memory");
        if (is_pattern(path))
            add_pattern(a, out, path);
        else if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
            add_directory(a, out, path);
        else
            add_file(a, out, path);
    }
    return NR_OK;
}

/* --- noticing --- */

static uint64_t
stamp_file(const char *path, uint64_t seed)
{
    struct stat st;
    uint64_t v[4] = { 0 };

    if (stat(path, &st) == 0) {
        v[0] = (uint64_t)st.st_ino;
        v[1] = (uint64_t)st.st_size;
        v[2] = (uint64_t)st.st_mtim.tv_sec;
        v[3] = (uint64_t)st.st_mtim.tv_nsec;
    }
    return nr_xxh64((struct nr_bytes){ (const uint8_t *)v, sizeof(v) }, seed);
}

/* What files and sizes there are now, in one number. */
static uint64_t
stamp_sources(const struct nr_agent *ag)
{
    struct nr_names names;
    struct nr_arena a;
    uint64_t stamp = 1;

    nr_arena_init(&a, LIST_MEMORY);
    if (list_files(ag, &a, &names, NULL) == NR_OK)
        for (size_t i = 0; i < names.n; i++)
            stamp = stamp_file(names.v[i], stamp);
    nr_arena_fini(&a);
    return stamp;
}

/* Segments never change: their names say it all. */
static uint64_t
stamp_archive(const struct nr_agent *ag)
{
    struct nr_names names;
    struct nr_arena a;
    char path[NR_PATH_MAX];
    uint64_t stamp = 1;

    nr_arena_init(&a, LIST_MEMORY);
    if (nr_path_join(path, ag->home, NR_HOME_ARCHIVE, NULL) == NR_OK &&
        nr_dir_list(&a, path, NR_ARCHIVE_SEGMENTS_MAX * 2, &names, NULL) ==
            NR_OK)
        for (size_t i = 0; i < names.n; i++)
            if (strstr(names.v[i], ".seg"))
                stamp = nr_xxh64((struct nr_bytes){ (const uint8_t *)names.v[i],
                                     strlen(names.v[i]) },
                    stamp);
    nr_arena_fini(&a);
    return stamp;
}

static bool
watch_all(const struct nr_agent *ag, struct nr_sources *s)
{
    char archive[NR_PATH_MAX];

    s->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (s->inotify < 0)
        return false;
    if (nr_path_join(archive, ag->home, NR_HOME_ARCHIVE, NULL) ||
        inotify_add_watch(s->inotify, archive, IN_MOVED_TO | IN_DELETE) < 0)
        return false;
    for (const char **dir = ag->source_dirs; *dir; dir++)
        if (inotify_add_watch(s->inotify, *dir, EVENTS) < 0)
            return false;
    return true;
}

void
nr_sources_open(const struct nr_agent *ag, struct nr_sources *s)
{
    struct nr_str every;
    uint64_t seconds;

    *s = (struct nr_sources){ .inotify = -1,
        .grown = true,
        .every_ms = NR_INGEST_S * 1000 };
    if (nr_config_get(&ag->config, NR_STR("ingest"), &every) &&
        nr_str_to_u64(every, &seconds))
        s->every_ms = (int64_t)seconds * 1000;
    if (!watch_all(ag, s)) {
        /* 128 instances a user by default, and one agent takes one. */
        nr_agent_log(ag, "inotify: %s; looking every second instead",
            strerrorname_np(errno));
        if (s->inotify >= 0)
            close(s->inotify);
        s->inotify = -1;
    }
    s->archive_stamp = stamp_archive(ag);
}

int
nr_sources_timeout(const struct nr_sources *s)
{
    int64_t now = nr_agent_clock_ms(), at = INT64_MAX;

    if (s->inotify < 0)
        at = s->next_look_ms;
    if (s->grown && s->next_ingest_ms < at)
        at = s->next_ingest_ms;
    if (at == INT64_MAX)
        return -1;
    return at > now ? (int)(at - now) : 0;
}

static void
say_problem(void *ctx, const struct nr_diag *d)
{
    nr_agent_log_diag(ctx, d);
}

static enum nr_err
add_files(const struct nr_agent *ag, struct nr_names files, struct nr_diag *d)
{
    struct nr_agent *log = (struct nr_agent *)(uintptr_t)ag;
    struct nr_archive_caller problem = { .say = say_problem, .ctx = log };
    struct nr_archive_key key = { 0 };
    struct nr_archive_add_options o = { .now_s = nr_env_now_s(ag->env),
        .growing = true,
        .memory = NR_ARCHIVE_MEMORY_MIN,
        .problem = &problem };
    struct nr_archive_added added = { 0 };
    struct nr_archive *archive = NULL;
    struct nr_str value;
    uint64_t mb;
    char path[NR_PATH_MAX];
    enum nr_err err = nr_path_join(path, ag->home, NR_HOME_ARCHIVE, d);

    if (nr_config_get(&ag->config, NR_STR("memory"), &value) &&
        nr_str_to_u64(value, &mb))
        o.memory = (size_t)mb * 1000 * 1000;
    if (nr_config_get(&ag->config, NR_STR("tz"), &value) &&
        !nr_zone_parse(value, &o.zone_east_s))
        o.zone_east_s = 0;
    if (nr_config_get(&ag->config, NR_STR("index-urls"), &value))
        o.no_urls = nr_str_eq(value, NR_STR("no"));
    if (!err)
        err = nr_agent_key(ag, path, &key, &problem.key, d);
    if (!err)
        err = nr_archive_open(path, NR_ARCHIVE_WRITE, &problem, &archive, d);
    nr_wipe(&key, sizeof(key));
    if (!err)
        err = nr_archive_add(archive, files.v, files.n, &o, &added, d);
    nr_archive_close(archive);
    if (added.lines > 0)
        nr_agent_log(ag, "sources: %llu lines of %llu files",
            (unsigned long long)added.lines, (unsigned long long)added.files);
    return err;
}

static void
ingest(const struct nr_agent *ag, struct nr_sources *s)
{
    struct nr_names files;
    struct nr_diag d = { 0 };
    struct nr_arena a;
    enum nr_err err;

    s->grown = false;
    nr_arena_init(&a, LIST_MEMORY);
    err = list_files(ag, &a, &files, &d);
    if (!err && files.n > 0)
        err = add_files(ag, files, &d);
    nr_arena_fini(&a);
    s->next_ingest_ms = nr_agent_clock_ms() + s->every_ms;
    if (!err)
        return;
    /* `archive add` at the same time is no failure; a full disk is, and
     * what could not be added stays in its file for the next try. */
    if (err != NR_EBUSY)
        nr_agent_log_diag(ag, &d);
    s->grown = true;
    s->next_ingest_ms = nr_agent_clock_ms() +
        (err == NR_EBUSY ? BUSY_MS : FAILED_MS);
}

static void
look(const struct nr_agent *ag, struct nr_sources *s)
{
    uint64_t stamp = stamp_sources(ag);

    if (stamp != s->stamp)
        s->grown = true;
    s->stamp = stamp;
    s->archive_changed = true; /* its names are compared anyway */
    s->next_look_ms = nr_agent_clock_ms() + LOOK_MS;
}

static void
read_events(struct nr_sources *s)
{
    _Alignas(struct inotify_event) char buf[4096];
    ssize_t n = read(s->inotify, buf, sizeof(buf));

    while (n > 0) {
        for (char *p = buf; p < buf + n;) {
            struct inotify_event ev;

            memcpy(&ev, p, sizeof(ev));
            p += sizeof(ev) + ev.len;
            /* The archive was watched first: its descriptor is 1. */
            if (ev.wd == 1 || ev.mask & IN_Q_OVERFLOW)
                s->archive_changed = true;
            if (ev.wd != 1)
                s->grown = true;
        }
        n = read(s->inotify, buf, sizeof(buf));
    }
}

void
nr_sources_run(const struct nr_agent *ag, struct nr_sources *s, bool *changed)
{
    int64_t now = nr_agent_clock_ms();
    uint64_t stamp;

    *changed = false;
    if (s->inotify >= 0)
        read_events(s);
    else if (now >= s->next_look_ms)
        look(ag, s);
    if (!ag->source_dirs[0])
        s->grown = false;
    if (s->grown && now >= s->next_ingest_ms) {
        ingest(ag, s);
        s->archive_changed = true;
    }
    if (!s->archive_changed)
        return;
    s->archive_changed = false;
    stamp = stamp_archive(ag);
    *changed = stamp != s->archive_stamp;
    s->archive_stamp = stamp;
}
