#include "stix/stix.h"

#include "base/fault.h"
#include "base/file.h"
#include "base/test.h"

#include <stdlib.h>

#define ROOM ((size_t)64 << 20)

static const char *dir; /* of the test data */

static const struct nr_json *
load(struct nr_arena *a, const char *name)
{
    const struct nr_json *j = NULL;
    struct nr_bytes in;
    char path[NR_PATH_MAX];

    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    assert_int_equal(nr_file_read(a, path, ROOM, &in, NULL), NR_OK);
    assert_int_equal(nr_json_parse(a, in, &j, NULL), NR_OK);
    return j;
}

static void
ids(void **state)
{
    static const struct {
        const char *id, *type; /* NULL: none */
    } v[] = {
        { "indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f", "indicator" },
        { "x-a-1--8E2E2D2B-17d4-4cbf-938f-98ee46b3cd3f", "x-a-1" },
        { "a--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f", "a" },
        { "--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f", NULL },
        { "A--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f", NULL },
        { "a---8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f", NULL },
        { "a-8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f", NULL },
        { "a--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3", NULL },
        { "a--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3g", NULL },
        { "a--8e2e2d2b017d4-4cbf-938f-98ee46b3cd3f", NULL },
        { "", NULL },
    };

    static const uint8_t zeros[16];
    char id[NR_STIX_ID_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof(v) / sizeof(*v); i++) {
        struct nr_str type = { 0 };
        bool yes = nr_stix_id_parse(nr_str_of(v[i].id), &type);

        CHECK_CASE(v[i].id, yes == (v[i].type != NULL));
        if (yes)
            CHECK_CASE(v[i].id, nr_str_eq(type, nr_str_of(v[i].type)));
    }
    assert_true(nr_str_eq(nr_stix_id_random("report", zeros, id),
        NR_STR("report--00000000-0000-4000-8000-000000000000")));
    assert_true(nr_stix_id_is(nr_str_of(id), NR_STR("report")));
    assert_false(nr_stix_id_is(nr_str_of(id), NR_STR("repor")));
}

/* Deterministic ids of python-stix2's examples, as Python's uuid and json
 * modules compute them (the examples themselves carry ids of an older way). */
static void
sco_ids(void **state)
{
    struct nr_arena a;
    struct nr_bytes in;
    struct nr_str rest;
    char path[NR_PATH_MAX];

    (void)state;
    nr_arena_init(&a, ROOM);
    (void)snprintf(path, sizeof(path), "%s/sco-ids.txt", dir);
    assert_int_equal(nr_file_read(&a, path, ROOM, &in, NULL), NR_OK);
    assert_true(nr_str_from_utf8(in, &rest));
    for (const struct nr_json *j = load(&a, "sco-examples.json")->child; j;
         j = j->next) {
        struct nr_str want = nr_str_cut(rest, '\n', &rest);
        char id[NR_STIX_ID_MAX] = "-";
        enum nr_err err = nr_stix_sco_id(&a, j, id, NULL);

        assert_int_equal(err,
            nr_str_eq(want, NR_STR("-")) ? NR_ENOTFOUND : NR_OK);
        if (!nr_str_eq(nr_str_of(id), want))
            fail_msg("%s: want %.*s", id, NR_FMT(want));
    }
    assert_int_equal(rest.n, 0);
    nr_arena_fini(&a);
}

static void
times(void **state)
{
    static const struct {
        const char *in, *out; /* NULL: refused */
    } v[] = {
        { "2017-08-21T00:00:00Z", "2017-08-21T00:00:00.000Z" },
        { "2017-08-21T01:02:03.5Z", "2017-08-21T01:02:03.500Z" },
        { "2017-08-21T01:02:03.123456Z", "2017-08-21T01:02:03.123456Z" },
        { "2017-08-21T01:02:03.120001Z", "2017-08-21T01:02:03.120001Z" },
        { "1969-12-31T23:59:59.999Z", "1969-12-31T23:59:59.999Z" },
        { "2017-08-21 00:00:00Z", NULL },
        { "2017-08-21t00:00:00Z", NULL },
        { "2017-08-21T00:00:00z", NULL },
        { "2017-08-21T00:00:00+00:00", NULL },
        { "2017-02-29T00:00:00Z", NULL },
        { "2017-08-21T00:00:00", NULL },
        { "", NULL },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(v) / sizeof(*v); i++) {
        char buf[NR_RFC3339_MAX];
        int64_t us;
        bool yes = nr_stix_time_parse(nr_str_of(v[i].in), &us);

        CHECK_CASE(v[i].in, yes == (v[i].out != NULL));
        if (yes)
            CHECK_CASE(v[i].in,
                strcmp(nr_stix_time_print(us, buf), v[i].out) == 0);
    }
}

static void
marking_vectors(void **state)
{
    static const enum nr_tlp one[] = { NR_TLP_CLEAR, NR_TLP_GREEN, NR_TLP_AMBER,
        NR_TLP_RED };
    struct nr_arena a;
    size_t i = 0;

    (void)state;
    nr_arena_init(&a, ROOM);
    for (const struct nr_json *j =
             load(&a, "tlp/tlp1-marking-definitions.json")->child;
         j; j = j->next, i++) {
        assert_int_equal(nr_marking_of_definition(j).tlp, one[i]);
        assert_int_equal(nr_stix_check(j, NULL), NR_OK);
    }
    assert_int_equal(i, 4);
    i = 0;
    for (const struct nr_json *j =
             load(&a, "tlp/tlp2-marking-definitions.json")->child;
         j; j = j->next, i++) {
        enum nr_tlp level = (enum nr_tlp)(NR_TLP_CLEAR + i);
        struct nr_json_out o;
        struct nr_buf got, want, canon;
        const struct nr_json *mine;
        struct nr_str id;

        assert_int_equal(nr_marking_of_definition(j).tlp, level);
        assert_int_equal(nr_stix_check(j, NULL), NR_OK);
        assert_int_equal(nr_marking_of_definition(j).pap, NR_PAP_NONE);
        assert_true(nr_json_get_str(j, NR_STR("id"), &id));
        assert_true(nr_str_eq(id, nr_tlp_id(level)));
        /* what we print is the published object */
        nr_buf_init(&got, ROOM);
        nr_buf_init(&want, ROOM);
        nr_json_out_init(&o, &got);
        nr_stix_put_tlp_definition(&o, level);
        assert_int_equal(nr_json_out_end(&o), NR_OK);
        assert_int_equal(nr_json_parse(&a, nr_buf_bytes(&got), &mine, NULL),
            NR_OK);
        assert_int_equal(nr_json_canon(&a, j, &want, NULL), NR_OK);
        nr_buf_init(&canon, ROOM);
        assert_int_equal(nr_json_canon(&a, mine, &canon, NULL), NR_OK);
        assert_true(nr_bytes_eq(nr_buf_bytes(&canon), nr_buf_bytes(&want)));
        nr_buf_fini(&canon);
        nr_buf_fini(&got);
        nr_buf_fini(&want);
    }
    assert_int_equal(i, 5);
    nr_arena_fini(&a);
}

static void
marking_names(void **state)
{
    enum nr_tlp tlp;
    enum nr_pap pap;
    struct nr_marking m;

    (void)state;
    for (unsigned i = NR_TLP_CLEAR; i <= NR_TLP_RED; i++) {
        assert_true(nr_tlp_parse(nr_str_of(nr_tlp_name(i)), &tlp));
        assert_int_equal(tlp, i);
        assert_true(nr_marking_of_id(nr_tlp_id(tlp), &m));
        assert_int_equal(m.tlp, i);
    }
    for (unsigned i = NR_PAP_CLEAR; i <= NR_PAP_RED; i++) {
        assert_true(nr_pap_parse(nr_str_of(nr_pap_name(i)), &pap));
        assert_int_equal(pap, i);
        assert_true(nr_marking_of_id(nr_pap_id(pap), &m));
        assert_int_equal(m.pap, i);
    }
    assert_true(nr_tlp_parse(NR_STR(" TLP:Amber+Strict "), &tlp));
    assert_int_equal(tlp, NR_TLP_AMBER_STRICT);
    assert_true(nr_tlp_parse(NR_STR("tlp:white"), &tlp));
    assert_int_equal(tlp, NR_TLP_CLEAR);
    assert_false(nr_tlp_parse(NR_STR("none"), &tlp));
    assert_false(nr_tlp_parse(NR_STR("TLP:"), &tlp));
    assert_false(nr_pap_parse(NR_STR("TLP:RED"), &pap));
    assert_int_equal(nr_tlp_id(NR_TLP_NONE).n, 0);
    assert_string_equal(nr_tlp_name(99), "unknown");
}

static const struct nr_json *
find_statement(void *ctx, struct nr_str id)
{
    const struct nr_json *definition = ctx;
    struct nr_str got;

    return nr_json_get_str(definition, NR_STR("id"), &got) && nr_str_eq(got, id)
        ? definition
        : NULL;
}

static void
marking_of_objects(void **state)
{
    static const struct {
        const char *object;
        enum nr_tlp tlp;
        enum nr_pap pap;
        size_t unknown;
    } v[] = {
        { "{}", NR_TLP_NONE, NR_PAP_NONE, 0 },
        { "{\"object_marking_refs\":[\"marking-definition--34098fce-860f-48ae-"
          "8e50-ebd3cc5e41da\"]}",
            NR_TLP_GREEN, NR_PAP_NONE, 0 },
        { "{\"object_marking_refs\":[\"marking-definition--939a9414-2ddd-4d32-"
          "a0cd-375ea402b003\",\"marking-definition--740d36e5-7714-4c30-961a-"
          "3ae632ceee0e\",\"marking-definition--bab4a63c-aed9-4cf5-a766-"
          "dfca5abac2bb\"]}",
            NR_TLP_AMBER_STRICT, NR_PAP_RED, 0 },
        { "{\"object_marking_refs\":[\"marking-definition--94868c89-83c2-464b-"
          "929b-a1a8aa3c8487\"],\"granular_markings\":[{\"marking_ref\":"
          "\"marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1\","
          "\"selectors\":[\"name\"]},{\"lang\":\"ja\",\"selectors\":[\"x\"]}]}",
            NR_TLP_RED, NR_PAP_NONE, 0 },
        { "{\"object_marking_refs\":[\"marking-definition--00000000-0000-4000-"
          "8000-000000000001\",\"marking-definition--00000000-0000-4000-8000-"
          "000000000002\",7]}",
            NR_TLP_RED, NR_PAP_NONE, 2 },
    };
    const struct nr_json *statement;
    struct nr_arena a;

    (void)state;
    nr_arena_init(&a, ROOM);
    assert_int_equal(nr_json_parse(&a,
                         NR_BYTES(
                             "{\"type\":\"marking-definition\",\"id\":"
                             "\"marking-definition--00000000-0000-4000-8000-"
                             "000000000001\",\"definition_type\":\"statement\","
                             "\"definition\":{\"statement\":\"TLP:RED\"}}"),
                         &statement, NULL),
        NR_OK);
    for (size_t i = 0; i < sizeof(v) / sizeof(*v); i++) {
        const struct nr_json *j;
        struct nr_marking m, e;
        size_t unknown;

        assert_int_equal(nr_json_parse(&a, nr_bytes_of(nr_str_of(v[i].object)),
                             &j, NULL),
            NR_OK);
        /* the resolver is handed the definition through its context */
        m = nr_stix_marking(j, find_statement, (void *)(uintptr_t)statement,
            &unknown);
        e = nr_marking_effective(m);
        CHECK_CASE(v[i].object, m.tlp == v[i].tlp && m.pap == v[i].pap);
        CHECK_CASE(v[i].object, unknown == v[i].unknown);
        CHECK_CASE(v[i].object, e.tlp == (v[i].tlp ? v[i].tlp : NR_TLP_AMBER));
        CHECK_CASE(v[i].object, e.pap == (v[i].pap ? v[i].pap : NR_PAP_AMBER));
    }
    nr_arena_fini(&a);
}

int stix_object_tests(const char *testdata);
int stix_check_tests(const char *testdata);

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        NR_TEST(ids),
        NR_TEST(sco_ids),
        NR_TEST(times),
        NR_TEST(marking_vectors),
        NR_TEST(marking_names),
        NR_TEST(marking_of_objects),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    dir = argc > 1 ? argv[1] : ".";
    if (cmocka_run_group_tests_name("stix ids", tests, NULL, NULL))
        return EXIT_FAILURE;
    if (stix_object_tests(dir))
        return EXIT_FAILURE;
    return stix_check_tests(dir);
}
