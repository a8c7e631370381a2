/* Collecting: the files that the sources stand for, and the folders that are
 * watched for changes. */
#include "watch/engine.h"

#include "base/arena.h"

#include <glob.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <unistd.h>

#define NAMES_MAX ((size_t)1 << 30) /* octets of the names of a folder */

static enum nr_err
nomem(struct nr_diag *d)
{
    return nr_fail(d, NR_ENOMEM, 0, "watch: out of memory");
}

enum nr_err
nr_trouble(struct nr_watch *w, const struct nr_diag *why, struct nr_diag *d)
{
    if (!nr_watch_room(&w->troubles, &w->cap_troubles, w->n_troubles,
            sizeof(*w->troubles)))
        return nomem(d);
    w->troubles[w->n_troubles++] = *why;
    return NR_OK;
}

/* --- collecting --- */

static enum nr_err
found_add(struct nr_watch *w, const char *path, const struct stat *st,
    size_t source, bool primary, struct nr_diag *d)
{
    struct found *f;

    if (w->n_found == NR_WATCH_FILES_MAX)
        return nr_fail_name(d, NR_ELIMIT, "watch: too many files", path);
    if (!nr_watch_room(&w->found, &w->cap_found, w->n_found, sizeof(*f)))
        return nomem(d);
    f = &w->found[w->n_found];
    *f = (struct found){ .path = strdup(path),
        .source = source,
        .primary = primary,
        .regular = S_ISREG(st->st_mode),
        .dev = st->st_dev,
        .ino = st->st_ino,
        .size = (uint64_t)st->st_size,
        .mtime_ns = (uint64_t)st->st_mtim.tv_sec * 1000000000u +
            (uint64_t)st->st_mtim.tv_nsec };
    if (!f->path)
        return nomem(d);
    w->n_found++;
    w->sources[source].found = true;
    return NR_OK;
}

/* Files beside PATH that rotation may have made of it. */
static enum nr_err
add_rotated(struct nr_watch *w, const char *path, size_t source,
    struct nr_diag *d)
{
    struct nr_arena a;
    const char *name = name_of(path);
    char dir[NR_PATH_MAX], full[NR_PATH_MAX];
    struct nr_names names = { 0 };
    enum nr_err err = NR_OK;
    size_t n = (size_t)(name - path);

    if (n >= sizeof(dir))
        return NR_OK;
    nr_arena_init(&a, NAMES_MAX);
    memcpy(dir, path, n);
    dir[n] = '\0';
    if (nr_dir_list(&a, n ? dir : ".", NR_WATCH_FILES_MAX, &names, NULL))
        names.n = 0; /* the path itself will be found missing */
    for (size_t i = 0; i < names.n && !err; i++) {
        struct rank rank;
        struct stat st;

        if (strcmp(names.v[i], name) == 0 ||
            !nr_name_is_rotated(names.v[i], name, &rank) ||
            strlen(names.v[i]) >= sizeof(full) - n)
            continue;
        memcpy(full, dir, n);
        memcpy(full + n, names.v[i], strlen(names.v[i]) + 1);
        if (lstat(full, &st) == 0 && S_ISREG(st.st_mode))
            err = found_add(w, full, &st, source, false, d);
    }
    nr_arena_fini(&a);
    return err;
}

/* A path that stands for nothing (yet): said once. */
static enum nr_err
missing(struct nr_watch *w, struct source *s, struct nr_diag *d)
{
    struct nr_diag why = { 0 };

    if (s->told || (s->begun && w->conf.follow))
        return NR_OK;
    s->told = true;
    (void)nr_fail_name(&why, NR_ENOTFOUND, "watch: no such file", s->path);
    return nr_trouble(w, &why, d);
}

static enum nr_err
collect_path(struct nr_watch *w, size_t i, const char *path, struct nr_diag *d)
{
    struct stat st;
    enum nr_err err = NR_OK;

    if (stat(path, &st) == 0)
        err = found_add(w, path, &st, i, true, d);
    if (!err && w->keyed)
        err = add_rotated(w, path, i, d);
    return err;
}

static enum nr_err
collect_glob(struct nr_watch *w, size_t i, struct nr_diag *d)
{
    glob_t g;
    int r = glob(w->sources[i].path, 0, NULL, &g);
    enum nr_err err = NR_OK;

    if (r == GLOB_NOSPACE)
        return nomem(d);
    for (size_t k = 0; r == 0 && k < g.gl_pathc && !err; k++) {
        struct stat st;

        if (stat(g.gl_pathv[k], &st) == 0 && !S_ISDIR(st.st_mode))
            err = collect_path(w, i, g.gl_pathv[k], d);
    }
    if (r == 0)
        globfree(&g);
    return err;
}

/* Folders still to be gone through, a stack of names. */
struct walk {
    char **v;
    size_t n, cap;
};

static enum nr_err
collect_folder(struct nr_watch *w, size_t i, struct walk *todo, char *dir,
    struct nr_diag *d)
{
    struct nr_arena a;
    struct nr_names names = { 0 };
    struct nr_diag why = { 0 };
    enum nr_err err = NR_OK;
    size_t first = todo->n;

    nr_arena_init(&a, NAMES_MAX);
    if (nr_dir_list(&a, dir, NR_WATCH_FILES_MAX, &names, &why)) {
        names.n = 0;
        if (!w->sources[i].told)
            err = nr_trouble(w, &why, d);
        w->sources[i].told = true;
    }
    for (size_t k = 0; k < names.n && !err; k++) {
        char full[NR_PATH_MAX];
        struct stat st;

        err = nr_path_join(full, dir, names.v[k], d);
        if (err || lstat(full, &st) != 0)
            continue;
        if (S_ISREG(st.st_mode))
            err = found_add(w, full, &st, i, true, d);
        else if (S_ISDIR(st.st_mode)) {
            if (!nr_watch_room(&todo->v, &todo->cap, todo->n, sizeof(char *)) ||
                !(todo->v[todo->n] = strdup(full)))
                err = nomem(d);
            else
                todo->n++;
        }
    }
    /* the stack gives the last one first */
    for (size_t k = 0; k < (todo->n - first) / 2; k++) {
        char *t = todo->v[first + k];

        todo->v[first + k] = todo->v[todo->n - 1 - k];
        todo->v[todo->n - 1 - k] = t;
    }
    nr_arena_fini(&a);
    return err;
}

/* --- folders that are watched for changes --- */

/* Be woken by changes in PATH; where that cannot be, look every second. */
static void
watch_folder(struct nr_watch *w, const char *path)
{
    int wd;

    if (w->inotify < 0)
        return;
    wd = inotify_add_watch(w->inotify, path,
        IN_MODIFY | IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE |
            IN_CLOSE_WRITE | IN_ONLYDIR);
    for (size_t i = 0; wd >= 0 && i < w->n_folders; i++)
        if (w->folders[i].wd == wd)
            return;
    if (wd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return;
    if (wd >= 0 &&
        nr_watch_room(&w->folders, &w->cap_folders, w->n_folders,
            sizeof(*w->folders))) {
        struct folder *f = &w->folders[w->n_folders];

        *f = (struct folder){ strdup(path), wd };
        if (f->path) {
            w->n_folders++;
            return;
        }
    }
    (void)close(w->inotify);
    w->inotify = -1;
}

void
nr_folder_watch(struct nr_watch *w, const char *path)
{
    const char *name = name_of(path);
    size_t n = (size_t)(name - path);
    char dir[NR_PATH_MAX];

    if (n >= sizeof(dir))
        return;
    memcpy(dir, path, n);
    dir[n > 1 ? n - 1 : n] = '\0';
    watch_folder(w, n ? dir : ".");
}

static enum nr_err
collect_dir(struct nr_watch *w, size_t i, struct nr_diag *d)
{
    struct walk todo = { 0 };
    enum nr_err err = NR_OK;
    size_t base = strlen(w->sources[i].path);

    if (!nr_watch_room(&todo.v, &todo.cap, 0, sizeof(char *)) ||
        !(todo.v[0] = strdup(w->sources[i].path))) {
        free(todo.v);
        return nomem(d);
    }
    todo.n = 1;
    while (todo.n > 0 && !err) {
        char *dir = todo.v[--todo.n];
        size_t depth = 0;

        for (const char *p = dir + base; *p; p++)
            depth += *p == '/';
        if (depth > NR_WATCH_DEPTH_MAX)
            err = nr_fail_name(d, NR_ELIMIT, "watch: folders too deep", dir);
        if (w->conf.follow)
            watch_folder(w, dir);
        if (!err)
            err = collect_folder(w, i, &todo, dir, d);
        free(dir);
    }
    while (todo.n > 0)
        free(todo.v[--todo.n]);
    free(todo.v);
    return err;
}

void
nr_found_reset(struct nr_watch *w)
{
    for (size_t i = 0; i < w->n_found; i++)
        free(w->found[i].path);
    w->n_found = 0;
    nr_table_fini(&w->by_path);
    nr_table_init(&w->by_path, 0);
}

/* Each path once, wherever it was asked for; a file that was asked for stays
 * so. False: out of memory. */
static bool
found_unique(struct nr_watch *w)
{
    size_t n = 0;

    for (size_t i = 0; i < w->n_found; i++) {
        struct found *f = &w->found[i];
        struct nr_bytes key = { (const uint8_t *)f->path, strlen(f->path) };
        bool added;
        uint64_t *at = nr_table_put(&w->by_path, key, n, &added);

        if (!at)
            return false;
        if (added) {
            w->found[n++] = *f;
            continue;
        }
        w->found[*at].primary |= f->primary;
        free(f->path);
        f->path = NULL;
    }
    w->n_found = n;
    return true;
}

enum nr_err
nr_collect(struct nr_watch *w, struct nr_diag *d)
{
    enum nr_err err = NR_OK;

    nr_found_reset(w);
    for (size_t i = 0; i < w->n_sources && !err; i++) {
        struct source *s = &w->sources[i];

        s->found = false;
        if (s->kind == SOURCE_FD)
            continue;
        if (s->kind == SOURCE_PATH)
            err = collect_path(w, i, s->path, d);
        else if (s->kind == SOURCE_DIR)
            err = collect_dir(w, i, d);
        else
            err = collect_glob(w, i, d);
        if (!err && !s->found)
            err = missing(w, s, d);
        s->begun = s->begun || s->found;
    }
    if (!err && w->keyed && !found_unique(w))
        err = nomem(d);
    return err;
}
