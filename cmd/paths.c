#include "paths.h"

#include "base/file.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* gcc 12's analyser loses sight of strings in a grown array and calls them
 * leaked; paths_free ends them (ASan agrees). */
#ifndef __clang__
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"
#endif

static bool
put_path(struct paths *p, const char *path)
{
    char *copy;

    if (p->n == p->cap) {
        size_t cap = p->cap ? p->cap * 2 : 64;
        char **v = realloc(p->v, cap * sizeof(*v));

        if (!v)
            return false;
        p->v = v;
        p->cap = cap;
    }
    copy = strdup(path);
    if (!copy)
        return false;
    p->v[p->n++] = copy;
    return p->n <= PATHS_MAX;
}

void
paths_free(struct paths *p)
{
    for (size_t i = 0; i < p->n; i++)
        free(p->v[i]);
    free(p->v);
}

/* The entries of directory PATH: files into FILES, directories into DIRS.
 * Links to directories are not followed: they may lead round in a circle. */
static bool
list(const char *path, struct paths *files, struct paths *dirs,
    void (*problem)(void *ctx, const struct nr_diag *d), void *ctx)
{
    DIR *dir = opendir(path);
    const struct dirent *e;
    bool ok = true;

    if (!dir) {
        struct nr_diag d = { 0 };

        (void)nr_fail_file(&d, "directory: open", path);
        problem(ctx, &d);
        return true;
    }
    while (ok && (e = readdir(dir)) != NULL) {
        char name[NR_PATH_MAX];
        struct stat st;

        if (e->d_name[0] == '.' ||
            nr_path_join(name, path, e->d_name, NULL) != NR_OK ||
            lstat(name, &st) != 0)
            continue;
        if (S_ISDIR(st.st_mode))
            ok = put_path(dirs, name);
        else if (S_ISREG(st.st_mode) || S_ISLNK(st.st_mode))
            ok = put_path(files, name);
    }
    (void)closedir(dir);
    return ok;
}

bool
paths_gather(struct paths *files, char **argv, int n, bool recurse,
    void (*problem)(void *ctx, const struct nr_diag *d), void *ctx)
{
    struct paths dirs = { 0 };
    bool ok = true;

    for (int i = 0; ok && i < n; i++) {
        struct stat st;
        bool is_dir = stat(argv[i], &st) == 0 && S_ISDIR(st.st_mode);

        ok = put_path(recurse && is_dir ? &dirs : files, argv[i]);
    }
    for (size_t i = 0; ok && i < dirs.n; i++) {
        char path[NR_PATH_MAX];

        (void)snprintf(path, sizeof(path), "%s", dirs.v[i]);
        ok = list(path, files, &dirs, problem, ctx);
    }
    paths_free(&dirs);
    return ok;
}

#ifndef __clang__
#pragma GCC diagnostic pop
#endif
