/* Keeping a hub: copies of its store, and the check of the whole. */
#include "base/date.h"
#include "base/hash.h"
#include "hub/admin.h"
#include "hub/object.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COPY_PAGES   256 /* a step of the online copy: writers get in between */
#define COPY_RETRIES 2000
#define CHECK_ARENA  ((size_t)64 << 20)
#define FAULTS_SHOWN ((uint64_t)100)

static enum nr_err
copy_pages(struct nr_db *from, struct nr_db *to, struct nr_diag *d)
{
    sqlite3_backup *b = sqlite3_backup_init(to->sql, "main", from->sql, "main");
    int code, waits = 0;

    if (!b)
        return nr_db_fail(to, d);
    do {
        code = sqlite3_backup_step(b, COPY_PAGES);
        if (code == SQLITE_BUSY || code == SQLITE_LOCKED) {
            (void)sqlite3_sleep(5);
            waits++;
        }
    } while (code == SQLITE_OK ||
        ((code == SQLITE_BUSY || code == SQLITE_LOCKED) &&
            waits < COPY_RETRIES));
    code = sqlite3_backup_finish(b);
    return code == SQLITE_OK ? NR_OK : nr_db_fail(to, d);
}

/* Copy a store to the new file TMP and publish it as PATH. */
static enum nr_err
copy_store(struct nr_db *from, const char *tmp, const char *path,
    struct nr_diag *d)
{
    struct nr_db to = { .sql = NULL };
    enum nr_err err;
    int fd;

    (void)unlink(tmp);
    fd = open(tmp, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0)
        return nr_fail_file(d, "copy: cannot be made", tmp);
    (void)snprintf(to.path, sizeof(to.path), "%s", tmp);
    if (sqlite3_open_v2(tmp, &to.sql, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK)
        err = nr_db_fail(&to, d);
    else
        err = copy_pages(from, &to, d);
    /* One file, whole by itself: without a log beside it. */
    if (!err &&
        sqlite3_exec(to.sql, "PRAGMA journal_mode=DELETE", NULL, NULL, NULL) !=
            SQLITE_OK)
        err = nr_db_fail(&to, d);
    nr_db_close(&to);
    if (!err)
        err = nr_file_publish(fd, tmp, path, d);
    (void)close(fd);
    if (err)
        (void)unlink(tmp);
    return err;
}

enum nr_err
nr_hub_backup(struct nr_hub *hub, const char *path, struct nr_diag *d)
{
    char tmp[NR_PATH_MAX];
    int n = snprintf(tmp, sizeof(tmp), "%s.part", path);

    if (n < 0 || (size_t)n >= sizeof(tmp))
        return nr_fail_name(d, NR_ELIMIT, "backup: path too long", path);
    if (access(path, F_OK) == 0)
        return nr_fail_name(d, NR_EEXIST,
            "backup: the file exists; a backup overwrites nothing", path);
    return copy_store(&hub->db, tmp, path, d);
}

/* Is PATH a hub's store, whole? */
/* Not inlined, nor is replace_store: two paths and a copy buffer each. */
NR_COLD static enum nr_err
check_copy(const char *path, const struct nr_env *env, struct nr_diag *d)
{
    struct nr_hub *hub = calloc(1, sizeof(*hub));
    struct nr_hub_check result;
    struct nr_buf text;
    enum nr_err err;

    if (!hub)
        return nr_fail(d, NR_ENOMEM, 0, "restore: out of memory");
    hub->env = env;
    nr_arena_init(&hub->arena, CHECK_ARENA);
    nr_buf_init(&text, (size_t)1 << 20);
    err = nr_db_open(&hub->db, path, NR_DB_READ, d);
    if (!err) {
        err = nr_hub_check(hub, &result, &text, d);
        nr_db_close(&hub->db);
        if (!err && result.faults > 0)
            err = nr_fail_name(d, NR_EDAMAGED,
                "restore: the backup is damaged; nothing was changed", path);
    }
    nr_buf_fini(&text);
    nr_arena_fini(&hub->arena);
    free(hub);
    return err;
}

static enum nr_err
remove_in(const char *home, const char *name, struct nr_diag *d)
{
    char path[NR_PATH_MAX];
    enum nr_err err = nr_path_join(path, home, name, d);

    if (!err && unlink(path) != 0 && errno != ENOENT)
        err = nr_fail_file(d, "restore: cannot remove", path);
    return err;
}

static enum nr_err
to_wal(const char *path, struct nr_diag *d)
{
    struct nr_db db;
    enum nr_err err = nr_db_open(&db, path, NR_DB_OPEN, d);

    if (err)
        return err;
    err = nr_db_run(&db, d, "PRAGMA journal_mode=WAL", "");
    nr_db_close(&db);
    return err;
}

NR_COLD static enum nr_err
replace_store(const char *home, const char *path, struct nr_diag *d)
{
    char db[NR_PATH_MAX], tmp[NR_PATH_MAX];
    struct nr_db from = { .sql = NULL };
    enum nr_err err = nr_path_join(db, home, NR_HUB_DB, d);

    if (!err)
        err = nr_path_join(tmp, home, NR_HUB_DB ".new", d);
    /* The old log must not be played into the new file. */
    if (!err)
        err = remove_in(home, NR_HUB_DB "-wal", d);
    if (!err)
        err = remove_in(home, NR_HUB_DB "-shm", d);
    if (!err)
        err = nr_db_open(&from, path, NR_DB_READ, d);
    if (err)
        return err;
    err = copy_store(&from, tmp, db, d);
    nr_db_close(&from);
    return err ? err : to_wal(db, d);
}

enum nr_err
nr_hub_restore(const char *home, const char *path, const struct nr_env *env,
    struct nr_diag *d)
{
    char lock[NR_PATH_MAX];
    int fd = -1;
    enum nr_err err = nr_dir_make(home, 0700, d);

    if (!err)
        err = nr_path_join(lock, home, NR_HUB_LOCK, d);
    if (!err)
        err = nr_file_lock(lock, &fd, d);
    if (err)
        return err;
    err = check_copy(path, env, d);
    if (!err)
        err = replace_store(home, path, d);
    (void)close(fd);
    return err;
}

/* --- check ----------------------------------------------------------- */

struct check {
    struct nr_hub *hub;
    struct nr_hub_check *out;
    struct nr_buf *text;
    struct nr_arena arena;
    int64_t last_us;
};

static void
fault(struct check *c, const struct nr_fact *f, const char *what)
{
    if (c->out->faults++ < FAULTS_SHOWN)
        nr_buf_printf(c->text, "fact %lld (%.*s): %s\n", (long long)f->seq,
            NR_FMT(f->subject), what);
}

static bool
exists(struct check *c, const char *sql, int64_t id)
{
    int64_t n = 0;

    return !nr_db_i64(&c->hub->db, NULL, 0, &n, sql, "i", id) && n > 0;
}

static void
check_report(struct check *c, const struct nr_fact *f, const struct nr_json *j)
{
    const struct nr_json *refs = nr_json_get(j, NR_STR("object_refs"));
    int64_t n = 0;

    for (const struct nr_json *v = refs ? refs->child : NULL; v; v = v->next) {
        if (!nr_json_is(v, NR_JSON_STRING) ||
            !nr_stix_id_is(v->text, NR_STR("indicator")))
            continue;
        if (nr_db_i64(&c->hub->db, NULL, 0, &n,
                "SELECT 1 FROM fact WHERE subject=?1 LIMIT 1", "t", v->text) ||
            n == 0)
            fault(c, f, "an indicator of the report is not in the store");
    }
}

static void
check_body(struct check *c, const struct nr_fact *f)
{
    const struct nr_json *j;
    struct nr_str id;

    nr_arena_reset(&c->arena);
    if (nr_json_parse(&c->arena, f->body, &j, NULL)) {
        fault(c, f, "the body does not parse");
        return;
    }
    if (f->kind == NR_FACT_MEMBERSHIP)
        return;
    if (!nr_json_get_str(j, NR_STR("id"), &id) || !nr_str_eq(id, f->subject))
        fault(c, f, "the body has another id");
    /* Not of what came by TAXII: that may name objects of other places. */
    if (f->kind == NR_FACT_REPORT)
        check_report(c, f, j);
}

static void
check_fact(struct check *c, const struct nr_fact *f, struct nr_bytes salt,
    struct nr_bytes leaf)
{
    uint8_t hash[NR_SHA256_LEN];

    if (f->added_us <= c->last_us)
        fault(c, f, "added does not grow");
    c->last_us = f->added_us;
    nr_store_leaf(f, salt, hash);
    if (!nr_bytes_eq(leaf, (struct nr_bytes){ hash, sizeof(hash) }))
        fault(c, f, "the leaf does not hold: the fact was altered");
    if (f->author && !exists(c, "SELECT 1 FROM member WHERE id=?1", f->author))
        fault(c, f, "its author is not a member");
    if (f->collection &&
        !exists(c, "SELECT 1 FROM collection WHERE id=?1", f->collection))
        fault(c, f, "its collection does not exist");
    if (f->audience >= NR_AUDIENCE_NAMED &&
        !exists(c, "SELECT 1 FROM audience WHERE id=?1", f->audience))
        fault(c, f, "its audience does not exist");
    check_body(c, f);
}

static enum nr_err
check_sqlite(struct check *c, struct nr_diag *d)
{
    sqlite3_stmt *st = NULL;
    enum nr_err err = nr_db_query(&c->hub->db, d, &st,
        "PRAGMA integrity_check(100)", "");

    while (!err && !(err = nr_db_row(&c->hub->db, st, d))) {
        struct nr_str line = nr_db_str(st, 0);

        if (nr_str_eq(line, NR_STR("ok")))
            continue;
        c->out->faults++;
        nr_buf_printf(c->text, "store: %.*s\n", NR_FMT(line));
    }
    nr_db_done(st);
    return err == NR_ENOTFOUND ? NR_OK : err;
}

static enum nr_err
check_facts(struct check *c, struct nr_diag *d)
{
    sqlite3_stmt *st = NULL;
    struct nr_fact f;
    enum nr_err err = nr_db_query(&c->hub->db, d, &st,
        "SELECT " NR_FACT_COLUMNS ",salt,leaf FROM fact ORDER BY seq", "");

    while (!err && !(err = nr_db_row(&c->hub->db, st, d))) {
        nr_store_fact(st, &f);
        c->out->facts++;
        c->out->objects += f.kind == NR_FACT_OBJECT || f.kind == NR_FACT_REPORT;
        c->out->answers += f.kind == NR_FACT_ANSWER;
        check_fact(c, &f, nr_db_bytes(st, 12), nr_db_bytes(st, 13));
    }
    nr_db_done(st);
    return err == NR_ENOTFOUND ? NR_OK : err;
}

enum nr_err
nr_hub_check(struct nr_hub *hub, struct nr_hub_check *out, struct nr_buf *text,
    struct nr_diag *d)
{
    struct check c = { .hub = hub,
        .out = out,
        .text = text,
        .last_us = INT64_MIN };
    int64_t n = 0;
    enum nr_err err;

    *out = (struct nr_hub_check){ 0 };
    nr_arena_init(&c.arena, CHECK_ARENA);
    err = check_sqlite(&c, d);
    if (!err)
        err = check_facts(&c, d);
    if (!err)
        err = nr_db_i64(&hub->db, d, 0, &n, "SELECT count(*) FROM member", "");
    out->members = (uint64_t)n;
    if (!err)
        err = nr_db_i64(&hub->db, d, 0, &n, "SELECT count(*) FROM collection",
            "");
    out->collections = (uint64_t)n;
    nr_arena_fini(&c.arena);
    return err;
}
