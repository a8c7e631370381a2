#include "base/test.h"

#include "base/hash.h"
#include "crypto/crypto.h"
#include "hub/admin.h"
#include "hub/gate.h"
#include "hub/object.h"
#include "hub/tls.h"
#include "hub/writer.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DAY_US (INT64_C(86400) * 1000000)

/* A clock that tests set, and randomness that counts. */
struct world {
    struct nr_env env;
    int64_t now_us;
    uint64_t count;
    char home[64];
    struct nr_hub *hub;
};

static int64_t
world_now(void *ctx)
{
    return ((struct world *)ctx)->now_us;
}

static enum nr_err
world_random(void *ctx, void *p, size_t n)
{
    struct world *w = ctx;
    uint8_t digest[32];

    for (size_t i = 0; i < n; i++) {
        if (i % 32 == 0) {
            w->count++;
            nr_sha256((struct nr_bytes){ (uint8_t *)&w->count, 8 }, digest);
        }
        ((uint8_t *)p)[i] = digest[i % 32];
    }
    return NR_OK;
}

static int
set_up(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    struct nr_hub_init init;

    assert_non_null(w);
    w->env = (struct nr_env){ world_now, world_random, w };
    w->now_us = INT64_C(1503273600) * 1000000;
    memcpy(w->home, "/tmp/noroshi-hub-XXXXXX", 24);
    assert_non_null(mkdtemp(w->home));
    init = (struct nr_hub_init){ .home = w->home, .wall_s = 1764000000 };
    assert_int_equal(nr_crypto_init(NULL), NR_OK);
    assert_int_equal(nr_hub_init(&init, &w->env, NULL), NR_OK);
    assert_int_equal(nr_hub_init(&init, &w->env, NULL), NR_EEXIST);
    assert_int_equal(nr_hub_open(w->home, &w->env, &w->hub, NULL), NR_OK);
    *state = w;
    return 0;
}

static int
tear_down(void **state)
{
    static const char *const names[] = { "hub.db", "hub.db-wal", "hub.db-shm",
        "hub.pem", "hub.key", "lock", "copy.db" };
    struct world *w = *state;
    char path[NR_PATH_MAX];

    nr_hub_close(w->hub);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (nr_path_join(path, w->home, names[i], NULL) == NR_OK)
            (void)unlink(path);
    (void)rmdir(w->home);
    free(w);
    return 0;
}

/* --- the gate: the whole table --------------------------------------- */

struct gate_case {
    const char *name;
    enum nr_hub_role role;
    enum nr_purpose purpose;
    bool named, any; /* rights on the fact's collection */
    bool told;       /* in the fact's named audience */
    int64_t author;  /* the reader is 1 */
    int64_t audience;
    enum nr_tlp tlp;
    enum nr_fact_kind kind;
    bool may;
};

#define M   NR_HUB_ROLE_MEMBER
#define C   NR_HUB_ROLE_CSIRT
#define RD  NR_FOR_READING
#define ST  NR_FOR_STATISTICS
#define COL NR_AUDIENCE_COLLECTION
#define AUT NR_AUDIENCE_AUTHORITIES
#define SET NR_AUDIENCE_NAMED
#define OBJ NR_FACT_OBJECT
#define ANS NR_FACT_ANSWER

static const struct gate_case gate_cases[] = {
    { "own", M, RD, 0, 0, 0, 1, 0, NR_TLP_RED, OBJ, true },
    { "own red for authorities", M, RD, 0, 0, 0, 1, AUT, NR_TLP_RED, OBJ,
        true },
    { "author alone", M, RD, 1, 0, 0, 2, 0, NR_TLP_RED, OBJ, false },
    { "author alone, authority", C, RD, 1, 0, 0, 2, 0, NR_TLP_RED, OBJ, false },
    { "amber, named", M, RD, 1, 0, 0, 2, COL, NR_TLP_AMBER, OBJ, true },
    { "strict, named", M, RD, 1, 0, 0, 2, COL, NR_TLP_AMBER_STRICT, OBJ, true },
    { "red, named in the group", M, RD, 1, 0, 0, 2, COL, NR_TLP_RED, OBJ,
        false },
    { "red, authority", C, RD, 0, 0, 0, 2, COL, NR_TLP_RED, OBJ, false },
    { "amber, everyone", M, RD, 0, 1, 0, 2, COL, NR_TLP_AMBER, OBJ, false },
    { "green, everyone", M, RD, 0, 1, 0, 2, COL, NR_TLP_GREEN, OBJ, true },
    { "clear, everyone", M, RD, 0, 1, 0, 2, COL, NR_TLP_CLEAR, OBJ, true },
    { "clear, outside", M, RD, 0, 0, 0, 2, COL, NR_TLP_CLEAR, OBJ, false },
    { "amber, authority", C, RD, 0, 0, 0, 2, COL, NR_TLP_AMBER, OBJ, true },
    { "briefing outside", NR_HUB_ROLE_BRIEFING, RD, 0, 0, 0, 2, COL,
        NR_TLP_CLEAR, OBJ, false },
    { "told", M, RD, 1, 0, 1, 2, SET, NR_TLP_RED, OBJ, true },
    { "told, not in the group", M, RD, 0, 0, 1, 2, SET, NR_TLP_RED, OBJ,
        false },
    { "not told", M, RD, 1, 0, 0, 2, SET, NR_TLP_RED, OBJ, false },
    { "not told, authority", C, RD, 1, 0, 0, 2, SET, NR_TLP_RED, OBJ, false },
    { "damage, member", M, RD, 1, 0, 0, 2, AUT, NR_TLP_AMBER, OBJ, false },
    { "damage, authority", C, RD, 0, 0, 0, 2, AUT, NR_TLP_RED, OBJ, true },
    { "damage, briefing", NR_HUB_ROLE_BRIEFING, RD, 1, 0, 0, 2, AUT,
        NR_TLP_AMBER, OBJ, false },
    { "damage is not counted", M, ST, 1, 0, 0, 2, AUT, NR_TLP_AMBER, OBJ,
        false },
    { "answer, read", M, RD, 1, 0, 0, 2, AUT, NR_TLP_AMBER, ANS, false },
    { "answer, counted", M, ST, 1, 0, 0, 2, AUT, NR_TLP_AMBER, ANS, true },
    { "answer of others' group", M, ST, 0, 0, 0, 2, AUT, NR_TLP_AMBER, ANS,
        false },
    { "red answer, counted", M, ST, 1, 0, 0, 2, AUT, NR_TLP_RED, ANS, false },
    { "the hub's own", C, RD, 1, 0, 0, 0, 0, NR_TLP_CLEAR, NR_FACT_MEMBERSHIP,
        false },
    { "membership of the author", M, RD, 1, 0, 0, 1, COL, NR_TLP_CLEAR,
        NR_FACT_MEMBERSHIP, false },
};

static void
test_gate(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(gate_cases) / sizeof(gate_cases[0]); i++) {
        const struct gate_case *c = &gate_cases[i];
        const int64_t audience = SET;
        const struct nr_right right = { .collection = 7,
            .reads_named = c->named,
            .reads_any = c->any };
        const struct nr_reader r = { .member = 1,
            .role = c->role,
            .purpose = c->purpose,
            .rights = &right,
            .n_rights = 1,
            .audiences = &audience,
            .n_audiences = c->told };
        const struct nr_fact f = { .kind = c->kind,
            .collection = 7,
            .audience = c->audience,
            .author = c->author,
            .tlp = c->tlp };

        CHECK_CASE(c->name, nr_gate_may(&r, &f) == c->may);
    }
}

/* --- the store ------------------------------------------------------- */

static struct nr_fact
some_fact(const char *id, int64_t version)
{
    return (struct nr_fact){ .kind = OBJ,
        .subject = nr_str_of(id),
        .version_us = version,
        .collection = 1,
        .audience = COL,
        .author = 1,
        .tlp = NR_TLP_AMBER,
        .pap = NR_PAP_AMBER,
        .body = NR_BYTES("{}") };
}

static void
test_append(void **state)
{
    struct world *w = *state;
    struct nr_fact a = some_fact("a--1", 5), b = some_fact("a--2", 5);
    struct nr_fact again = some_fact("a--1", 5), newer = some_fact("a--1", 6);

    assert_int_equal(nr_store_append(&w->hub->db, &w->env, &a, NULL), NR_OK);
    assert_int_equal(a.added_us, w->now_us);
    assert_false(a.known);
    /* the same instant, and a clock that goes back: still later */
    assert_int_equal(nr_store_append(&w->hub->db, &w->env, &b, NULL), NR_OK);
    assert_int_equal(b.added_us, a.added_us + 1);
    w->now_us -= DAY_US;
    assert_int_equal(nr_store_append(&w->hub->db, &w->env, &newer, NULL),
        NR_OK);
    assert_int_equal(newer.added_us, b.added_us + 1);
    assert_int_equal(nr_store_append(&w->hub->db, &w->env, &again, NULL),
        NR_OK);
    assert_true(again.known);
    assert_int_equal(again.seq, a.seq);
    assert_int_equal(again.added_us, a.added_us);
}

static void
test_leaf(void **state)
{
    struct nr_fact f = some_fact("a--1", 5), g;
    uint8_t one[32], two[32];

    (void)state;
    nr_store_leaf(&f, NR_BYTES("salt"), one);
    nr_store_leaf(&f, NR_BYTES("salt"), two);
    assert_memory_equal(one, two, 32);
    nr_store_leaf(&f, NR_BYTES("other"), two);
    assert_memory_not_equal(one, two, 32);
    g = f;
    g.body = NR_BYTES("{ }");
    nr_store_leaf(&g, NR_BYTES("salt"), two);
    assert_memory_not_equal(one, two, 32);
    g = f;
    g.added_us++;
    nr_store_leaf(&g, NR_BYTES("salt"), two);
    assert_memory_not_equal(one, two, 32);
}

static void
test_audience(void **state)
{
    struct world *w = *state;
    const int64_t a[] = { 3, 1, 2 }, b[] = { 2, 3, 1 }, c[] = { 1, 2 };
    int64_t x, y, z;

    assert_int_equal(nr_store_audience(&w->hub->db, a, 3, &x, NULL), NR_OK);
    assert_int_equal(nr_store_audience(&w->hub->db, b, 3, &y, NULL), NR_OK);
    assert_int_equal(nr_store_audience(&w->hub->db, c, 2, &z, NULL), NR_OK);
    assert_int_equal(x, NR_AUDIENCE_NAMED);
    assert_int_equal(x, y);
    assert_int_equal(z, x + 1);
}

/* --- members, keys, codes -------------------------------------------- */

static const char public_key[] =
    "abababababababababababababababababababababababababababababababab";
static const char other_key[] =
    "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd";

static struct nr_str
make_code(struct world *w, const char *name, struct nr_buf *out)
{
    const struct nr_hub_invite i = { .name = nr_str_of(name),
        .sector = NR_STR("energy"),
        .address = "hub.example:6443" };
    struct nr_str rest, code;

    nr_buf_init(out, 4096);
    assert_int_equal(nr_hub_invite(w->hub, &i, out, NULL), NR_OK);
    (void)nr_str_cut((struct nr_str){ (const char *)out->p, out->n }, '=',
        &rest);
    code = nr_str_cut(rest, '&', &rest);
    assert_int_equal(code.n, NR_TOKEN_TEXT_MAX - 1);
    return code;
}

static void
test_join(void **state)
{
    struct world *w = *state;
    struct nr_joined first, again;
    struct nr_reader r;
    struct nr_arena a;
    struct nr_buf out;
    struct nr_str code = make_code(w, "Alpha", &out);
    struct nr_db *db = &w->hub->db;
    const struct nr_hub_invite taken = { .name = NR_STR("Alpha"),
        .address = "h:1" };

    nr_arena_init(&a, 1 << 20);
    assert_int_equal(nr_hub_invite(w->hub, &taken, &out, NULL), NR_EEXIST);
    assert_int_equal(nr_store_join(db, &w->env, NR_STR("nonsense"),
                         nr_str_of(public_key), &first, NULL),
        NR_EDENIED);
    assert_int_equal(nr_store_join(db, &w->env, code, nr_str_of(public_key),
                         &first, NULL),
        NR_OK);
    assert_int_equal(nr_reader_by_token(db, &a, nr_str_of(first.key), w->now_us,
                         &r, NULL),
        NR_OK);
    assert_int_equal(r.role, NR_HUB_ROLE_MEMBER);
    assert_true(r.rights[0].reads_named && r.rights[0].writes);
    assert_int_equal(nr_store_join(db, &w->env, code, nr_str_of(other_key),
                         &again, NULL),
        NR_EDENIED);
    assert_int_equal(nr_store_join(db, &w->env, code, nr_str_of(public_key),
                         &again, NULL),
        NR_OK);
    assert_int_equal(first.member, again.member);
    assert_int_equal(nr_reader_by_token(db, &a, nr_str_of(first.key), w->now_us,
                         &r, NULL),
        NR_EDENIED);
    nr_buf_fini(&out);
    nr_arena_fini(&a);
}

static void
test_expiry(void **state)
{
    struct world *w = *state;
    struct nr_joined j;
    struct nr_reader r;
    struct nr_arena a;
    struct nr_buf out, late;
    struct nr_str code = make_code(w, "Alpha", &out);
    struct nr_str too_late = make_code(w, "Beta", &late);
    struct nr_db *db = &w->hub->db;

    nr_arena_init(&a, 1 << 20);
    assert_int_equal(nr_store_join(db, &w->env, code, nr_str_of(public_key), &j,
                         NULL),
        NR_OK);
    assert_int_equal(nr_reader_by_token(db, &a, nr_str_of(j.key),
                         j.expires_us - 1, &r, NULL),
        NR_OK);
    assert_int_equal(nr_reader_by_token(db, &a, nr_str_of(j.key), j.expires_us,
                         &r, NULL),
        NR_EDENIED);
    w->now_us += NR_HUB_INVITE_DAYS * DAY_US;
    assert_int_equal(nr_store_join(db, &w->env, too_late, nr_str_of(public_key),
                         &j, NULL),
        NR_EDENIED);
    assert_int_equal(nr_hub_revoke(w->hub, NR_STR("Alpha"), NULL), NR_OK);
    assert_int_equal(nr_reader_by_token(db, &a, nr_str_of(j.key), w->now_us, &r,
                         NULL),
        NR_EDENIED);
    assert_int_equal(nr_hub_revoke(w->hub, NR_STR("Nobody"), NULL),
        NR_ENOTFOUND);
    nr_buf_fini(&out);
    nr_buf_fini(&late);
    nr_arena_fini(&a);
}

static void
test_names(void **state)
{
    static const struct {
        const char *text;
        unsigned scope;
    } scopes[] = { { "read", 1 }, { "write", 2 }, { "all", 3 },
        { "read,write", 3 }, { "", 0 }, { "fly", 0 }, { "read,fly", 0 } };
    enum nr_hub_role role;
    unsigned scope;

    (void)state;
    for (size_t i = 0; i < sizeof(scopes) / sizeof(scopes[0]); i++) {
        scope = 0;
        CHECK_CASE(scopes[i].text,
            nr_scope_from_name(nr_str_of(scopes[i].text), &scope) ==
                (scopes[i].scope != 0));
        if (scopes[i].scope)
            assert_int_equal(scope, scopes[i].scope);
    }
    for (unsigned i = 0; i < NR_HUB_ROLES; i++) {
        assert_true(nr_hub_role_from_name(nr_str_of(nr_hub_role_name(
                                              (enum nr_hub_role)i)),
            &role));
        assert_int_equal(role, i);
    }
    assert_false(nr_hub_role_from_name(NR_STR("king"), &role));
}

/* --- the writer ------------------------------------------------------ */

struct job {
    struct nr_write w;
    struct world *world;
    const char *id;
    bool fails;
    pthread_mutex_t *lock;
    int *done;
};

static enum nr_err
run_job(struct nr_write *w, struct nr_db *db, struct nr_diag *d)
{
    struct job *j = (struct job *)(void *)w;
    struct nr_fact f = some_fact(j->id, 1);
    enum nr_err err = nr_store_append(db, &j->world->env, &f, d);

    return j->fails ? nr_fail(d, NR_EFORMAT, 0, "test: on purpose") : err;
}

static void
job_done(struct nr_write *w)
{
    struct job *j = (struct job *)(void *)w;

    (void)pthread_mutex_lock(j->lock);
    ++*j->done;
    (void)pthread_mutex_unlock(j->lock);
}

static void
test_writer(void **state)
{
    struct world *w = *state;
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    struct nr_writer writer = { .running = false };
    struct job jobs[6];
    char path[NR_PATH_MAX];
    int done = 0;
    int64_t n;

    assert_int_equal(nr_path_join(path, w->home, "hub.db", NULL), NR_OK);
    assert_int_equal(nr_writer_start(&writer, path, NULL), NR_OK);
    for (size_t i = 0; i < 6; i++) {
        static const char *const ids[] = { "a--1", "a--2", "a--3", "a--4",
            "a--5", "a--1" };

        jobs[i] = (struct job){ .w = { .run = run_job, .done = job_done },
            .world = w,
            .id = ids[i],
            .fails = i == 2,
            .lock = &lock,
            .done = &done };
        nr_writer_put(&writer, &jobs[i].w);
    }
    nr_writer_stop(&writer); /* finishes what waits */
    assert_int_equal(done, 6);
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(jobs[i].w.err, i == 2 ? NR_EFORMAT : NR_OK);
    assert_int_equal(nr_db_i64(&w->hub->db, NULL, 0, &n,
                         "SELECT count(*) FROM fact WHERE kind=1", ""),
        NR_OK);
    assert_int_equal(n, 4);
}

/* --- the check ------------------------------------------------------- */

static void
test_check(void **state)
{
    static const char *const breaks[] = {
        "UPDATE fact SET added_us=1 WHERE seq=(SELECT max(seq) FROM fact)",
        "UPDATE fact SET body='{' WHERE kind=1",
        "UPDATE fact SET author=99 WHERE kind=1",
        "UPDATE fact SET collection=99 WHERE kind=1",
        "UPDATE fact SET audience=99 WHERE kind=1",
        "UPDATE fact SET leaf=x'00' WHERE kind=1",
    };
    struct world *w = *state;
    struct nr_db *db = &w->hub->db;
    struct nr_hub_check c;
    struct nr_joined j;
    struct nr_buf out, text;
    struct nr_str code = make_code(w, "Alpha", &out);
    struct nr_fact f = some_fact("a--1", 5);

    nr_buf_init(&text, 1 << 20);
    assert_int_equal(nr_store_join(db, &w->env, code, nr_str_of(public_key), &j,
                         NULL),
        NR_OK);
    f.body = NR_BYTES("{\"id\":\"a--1\"}");
    assert_int_equal(nr_store_append(db, &w->env, &f, NULL), NR_OK);
    assert_int_equal(nr_hub_check(w->hub, &c, &text, NULL), NR_OK);
    assert_int_equal(c.faults, 0);
    assert_int_equal(c.facts, 2);
    for (size_t i = 0; i < sizeof(breaks) / sizeof(breaks[0]); i++) {
        assert_int_equal(nr_db_begin(db, NULL), NR_OK);
        assert_int_equal(sqlite3_exec(db->sql, breaks[i], NULL, NULL, NULL),
            SQLITE_OK);
        assert_int_equal(nr_hub_check(w->hub, &c, &text, NULL), NR_OK);
        CHECK_CASE(breaks[i], c.faults > 0);
        nr_db_rollback(db);
    }
    nr_buf_fini(&text);
    nr_buf_fini(&out);
}

static void
test_pin(void **state)
{
    struct world *w = *state;
    struct nr_arena a;
    struct nr_bytes cert, key;
    char path[NR_PATH_MAX], pin[NR_TLS_PIN_MAX], same[NR_TLS_PIN_MAX];

    nr_arena_init(&a, 1 << 20);
    assert_int_equal(nr_path_join(path, w->home, "hub.pem", NULL), NR_OK);
    assert_int_equal(nr_file_read(&a, path, 1 << 16, &cert, NULL), NR_OK);
    assert_int_equal(nr_path_join(path, w->home, "hub.key", NULL), NR_OK);
    assert_int_equal(nr_file_read(&a, path, 1 << 16, &key, NULL), NR_OK);
    assert_int_equal(nr_tls_pin(cert, key, pin, NULL), NR_OK);
    assert_int_equal(strlen(pin), 43);
    assert_int_equal(nr_tls_pin(cert, (struct nr_bytes){ 0 }, same, NULL),
        NR_OK);
    assert_string_equal(pin, same);
    assert_int_not_equal(nr_tls_pin(key, key, pin, NULL), NR_OK);
    assert_int_not_equal(nr_tls_pin(cert, cert, pin, NULL), NR_OK);
    nr_arena_fini(&a);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        NR_TEST(test_gate),
        NR_TEST(test_leaf),
        NR_TEST(test_names),
        cmocka_unit_test_setup_teardown(test_append, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_audience, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_join, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_expiry, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_writer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_check, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_pin, set_up, tear_down),
    };

    return cmocka_run_group_tests_name("hub", tests, NULL, NULL);
}
