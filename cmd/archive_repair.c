/* noroshi archive verify, repair: what is damaged, what can be made whole. */
#include "archive_keep.h"

#include "archive/keep.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *
text(const char *s)
{
    return s && s[0] ? s : "-";
}

static void
damage(void *ctx, const struct nr_damage *m)
{
    struct archive_keep *k = ctx;

    (void)printf("damage\t%s\t%s\t%llu\t%llu\t%s\t", m->file, m->part,
        (unsigned long long)m->at, (unsigned long long)m->octets,
        text(m->sections));
    if (m->lines > 0)
        (void)printf("%llu-%llu", (unsigned long long)m->first_line,
            (unsigned long long)(m->first_line + m->lines - 1));
    else
        (void)fputc('-', stdout);
    (void)printf("\t%s\n", text(m->rule));
    k->failed++;
}

static int
finish(struct archive_keep *k, enum nr_err err, struct nr_diag *d)
{
    if (!err)
        return CLI_NOTHING;
    (void)nr_fail(d, err, 0, "archive: failed");
    return cli_fail(k->cli, d);
}

int
archive_verify(struct archive_keep *k)
{
    struct nr_keep_say say = { damage, k };
    struct nr_verified got = { 0 };
    struct nr_archive *a = NULL;
    struct nr_diag d = { 0 };
    enum nr_err err = archive_keep_open(k, false, false, &a, &d);

    nr_archive_close(a);
    if (err)
        return finish(k, err, &d);
    k->failed = 0;
    err = nr_keep_verify(k->dir, k->has_key, &say, &got, &d);
    (void)printf("segments %zu damaged %zu\n", got.segments, got.damaged);
    if (got.runs > 0)
        (void)printf("runs %zu damaged %zu\n", got.runs, got.runs_damaged);
    if (!err && got.damaged == 0 && got.runs_damaged > 0) {
        cli_warn(k->cli,
            "%zu of %zu runs are damaged: no answer lacks anything, but hunts "
            "are slower until noroshi archive repair --all and compact",
            got.runs_damaged, got.runs);
        return CLI_INCOMPLETE;
    }
    if (!err && got.damaged > 0) {
        cli_warn(k->cli,
            "%zu of %zu segments are damaged; noroshi archive "
            "repair --all rebuilds what can be",
            got.damaged, got.segments);
        return CLI_INCOMPLETE;
    }
    return finish(k, err, &d);
}

/* Segment NAME; returns the status. */
static int
repair(struct archive_keep *k, struct nr_archive *a, const char *name)
{
    struct nr_keep_say say = { damage, k };
    struct nr_repaired r = { 0 };
    struct nr_diag d = { 0 };
    enum nr_err err = nr_keep_repair(a, name, k->discard,
        nr_env_now_s(&k->cli->env), &say, &r, &d);

    if (err)
        return finish(k, err, &d);
    if (r.run) {
        (void)printf("removed\t%s\tarchive compact makes it anew\n", name);
        return CLI_NOTHING;
    }
    if (r.whole) {
        (void)printf("whole\t%s\n", name);
        return CLI_NOTHING;
    }
    (void)printf("rebuilt\t%s\tblocks %llu lines %llu\tlost: blocks %llu lines "
                 "%llu octets %llu\tredated %llu\t%s\n",
        name, (unsigned long long)r.blocks, (unsigned long long)r.lines,
        (unsigned long long)r.blocks_lost, (unsigned long long)r.lines_lost,
        (unsigned long long)r.octets_lost, (unsigned long long)r.blocks_redated,
        r.walked           ? "file names and line numbers are lost"
            : r.names_lost ? "file names and line numbers are as found"
                           : "file names and line numbers are proven");
    return r.blocks_lost > 0 || r.walked || r.blocks_redated > 0
        ? CLI_INCOMPLETE
        : CLI_NOTHING;
}

struct names {
    char (*v)[32];
    size_t n, cap;
    bool full;
};

static void
collect(void *ctx, const struct nr_damage *m)
{
    struct names *names = ctx;

    if (names->n > 0 && strcmp(names->v[names->n - 1], m->file) == 0)
        return;
    if (names->n == names->cap) {
        size_t cap = names->cap ? names->cap * 2 : 16;
        void *v = realloc(names->v, cap * sizeof(*names->v));

        names->full |= !v;
        if (!v)
            return;
        names->v = v;
        names->cap = cap;
    }
    (void)snprintf(names->v[names->n++], sizeof(*names->v), "%s", m->file);
}

static int
repair_all(struct archive_keep *k, struct nr_archive *a)
{
    struct names names = { 0 };
    struct nr_keep_say say = { collect, &names };
    struct nr_verified got;
    struct nr_diag d = { 0 };
    enum nr_err err = nr_keep_verify(k->dir, k->has_key, &say, &got, &d);
    int status = CLI_NOTHING;

    if (!err && names.full)
        err = nr_fail(&d, NR_ENOMEM, 0, "repair: no memory");
    for (size_t i = 0; !err && i < names.n; i++) {
        int one = repair(k, a, names.v[i]);

        if (one == CLI_ERROR || status == CLI_NOTHING)
            status = one;
    }
    free(names.v);
    if (err)
        return finish(k, err, &d);
    (void)printf("segments %zu damaged %zu\n", got.segments, got.damaged);
    return status;
}

int
archive_repair(struct archive_keep *k, int argc, char **argv)
{
    struct nr_archive *a = NULL;
    struct nr_diag d = { 0 };
    int status = CLI_NOTHING;
    enum nr_err err;

    if (k->all != (argc == 0))
        return cli_usage(k->cli, "repair SEG... | --all [--discard]");
    err = archive_keep_open(k, true, true, &a, &d);
    if (err)
        return finish(k, err, &d);
    if (k->all)
        status = repair_all(k, a);
    for (int i = 0; i < argc; i++) {
        int one = repair(k, a, argv[i]);

        if (one == CLI_ERROR || status == CLI_NOTHING)
            status = one;
    }
    nr_archive_close(a);
    return status;
}
