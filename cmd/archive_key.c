#include "archive_key.h"

#include "base/file.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

/* FILE, or the one of the home in BUF. */
static enum nr_err
key_file(struct cli *cli, const char *file, char *buf, const char **out,
    struct nr_diag *d)
{
    *out = file ? file : buf;
    return file ? NR_OK : nr_path_join(buf, cli->home, NR_ARCHIVE_KEY_FILE, d);
}

enum nr_err
archive_key(struct cli *cli, const char *dir, const char *file,
    struct nr_archive_key *out, const struct nr_archive_key **key,
    struct nr_diag *d)
{
    char buf[NR_PATH_MAX];
    const char *path;
    bool sealed = false;
    enum nr_err err = key_file(cli, file, buf, &path, d);

    *key = NULL;
    if (!err)
        err = nr_archive_key_for(dir, path, &cli->env, out, &sealed, d);
    if (!err && sealed)
        *key = out;
    return err;
}

int
archive_seal(struct cli *cli, const char *dir, const char *file)
{
    char buf[NR_PATH_MAX], own[NR_PATH_MAX];
    const char *path;
    struct nr_diag d = { 0 };
    enum nr_err err = key_file(cli, file, buf, &path, &d);

    if (!err && !dir) {
        err = nr_path_join(own, cli->home, "archive", &d);
        dir = own;
        /* The home of a first archive need not have been made by init. */
        if (!err && mkdir(cli->home, 0700) != 0 && errno != EEXIST)
            err = nr_fail_file(&d, "directory: make", cli->home);
    }
    if (!err)
        err = nr_archive_seal(dir, path, &cli->env, &d);
    if (err)
        return cli_fail(cli, &d);
    (void)printf("sealed\t%s\tkey\t%s\n", dir, path);
    cli_warn(cli,
        "keep a copy of %s apart from the archive: without it the logs are "
        "lost",
        path);
    return CLI_NOTHING;
}
