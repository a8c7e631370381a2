/* Typed objects: what is written reads back the same, what is missing or of
 * the wrong form is named. */
#include "stix/stix.h"

#include "base/fault.h"
#include "base/test.h"

#include <stdlib.h>

#define ROOM ((size_t)64 << 20)
#define T0   INT64_C(1503273600000000) /* 2017-08-21T00:00:00Z */

#define S(lit)                  \
    {                           \
        "" lit, sizeof(lit) - 1 \
    }

static const struct nr_str refs[] = {
    S("indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f"),
    S("indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd40"),
};
static const struct nr_str words[] = { S("one"), S("two") };
static const int64_t gaps[][2] = { { T0, T0 + 86400000000 } };

#define CREATOR "identity--2d1c6ab3-5e4e-48ac-a32b-f0c01c2836a8"
#define UUID    "--2d1c6ab3-5e4e-48ac-a32b-f0c01c2836a9"

static struct nr_stix_head
head(const char *type, const char *id)
{
    return nr_stix_head_new(type, nr_str_of(id), T0 + 123456, NR_STR(CREATOR),
        (struct nr_marking){ NR_TLP_GREEN, NR_PAP_AMBER });
}

#define HEAD_TEXT(type)                                                       \
    "{\"type\":\"" type "\",\"spec_version\":\"2.1\",\"id\":\"" type UUID     \
    "\",\"created_by_ref\":\"" CREATOR                                        \
    "\",\"created\":\"2017-08-21T00:00:00.123Z\",\"modified\":\"2017-08-21T0" \
    "0:00:00.123Z\",\"object_marking_refs\":[\"marking-definition--bab4a63c-" \
    "aed9-4cf5-a766-dfca5abac2bb\",\"marking-definition--60f8932b-e51e-4458-" \
    "b265-a2e8be9a80ab\"]"

#define REFS_TEXT                                           \
    "[\"indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f\"," \
    "\"indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd40\"]"

/* Write V, compare with TEXT, read, write again, compare again; is it GOOD to
 * the check (some carry ids of indicators where others belong)? */
#define ROUND(name, v, good, text)                                           \
    do {                                                                     \
        struct nr_stix_##name back;                                          \
        const struct nr_json *j;                                             \
        struct nr_json_out o;                                                \
        struct nr_arena a;                                                   \
        struct nr_buf b, again;                                              \
                                                                             \
        nr_arena_init(&a, ROOM);                                             \
        nr_buf_init(&b, ROOM);                                               \
        nr_buf_init(&again, ROOM);                                           \
        nr_json_out_init(&o, &b);                                            \
        nr_stix_##name##_write(&o, &(v));                                    \
        assert_int_equal(nr_json_out_end(&o), NR_OK);                        \
        if (!nr_bytes_eq(nr_buf_bytes(&b), NR_BYTES(text)))                  \
            fail_msg("%s", nr_buf_cstr(&b));                                 \
        assert_int_equal(nr_json_parse(&a, nr_buf_bytes(&b), &j, NULL),      \
            NR_OK);                                                          \
        assert_int_equal(nr_stix_##name##_read(&a, j, &back, NULL), NR_OK);  \
        nr_json_out_init(&o, &again);                                        \
        nr_stix_##name##_write(&o, &back);                                   \
        assert_int_equal(nr_json_out_end(&o), NR_OK);                        \
        assert_true(nr_bytes_eq(nr_buf_bytes(&b), nr_buf_bytes(&again)));    \
        assert_int_equal(nr_stix_check(j, NULL), good ? NR_OK : NR_EFORMAT); \
        assert_int_equal(back.head.marking.tlp, NR_TLP_GREEN);               \
        assert_int_equal(back.head.marking.pap, NR_PAP_AMBER);               \
        assert_int_equal(back.head.version_us, T0 + 123000);                 \
        assert_int_equal(back.head.confidence, -1);                          \
        nr_buf_fini(&b);                                                     \
        nr_buf_fini(&again);                                                 \
        nr_arena_fini(&a);                                                   \
    } while (0)

static void
round_hunt(void **state)
{
    struct nr_stix_indicator indicator = {
        .head = head("indicator", "indicator" UUID),
        .name = NR_STR("a \"name\""),
        .pattern = NR_STR("[domain-name:value = 'a.example']"),
        .indicator_types = { words, 2 },
        .valid_from_us = T0,
        .first_seen_us = T0 + 1,
        .last_seen_us = T0 + 1000,
        .role = NR_STR("c2"),
    };
    struct nr_stix_sighting sighting = {
        .head = head("sighting", "sighting" UUID),
        .sighting_of_ref = refs[0],
        .where_sighted_refs = { refs, 2 },
        .count = 0,
        .answer = NR_STR("not-seen"),
        .denied = 0,
        .coverage = {
            .present = true,
            .coverage = 0.48,
            .kinds = { words, 1 },
            .from_us = T0,
            .to_us = T0 + 1000000,
            .gaps_us = gaps,
            .n_gaps = 1,
        },
    };

    (void)state;
    ROUND(indicator, indicator, true,
        HEAD_TEXT("indicator") ",\"name\":\"a \\\"name\\\"\",\"indicator_"
                               "types\":[\"one\",\"two\"],\"pattern\":\"[domain"
                               "-name:value = 'a.example']\",\"pattern_type\":"
                               "\"stix\",\"valid_from\":\"2017-08-21T00:00:00."
                               "000Z\",\"x_noroshi_first_seen\":\"2017-08-21T00"
                               ":00:00.000001Z\",\"x_noroshi_last_seen\":"
                               "\"2017-08-21T00:00:00.001Z\",\"x_noroshi_role\""
                               ":\"c2\"}");
    ROUND(sighting, sighting, false,
        HEAD_TEXT("sighting") ",\"count\":0,\"sighting_of_ref\":\"indicator--"
                              "8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f\",\"where_"
                              "sighted_refs\":" REFS_TEXT
                              ",\"x_noroshi_answer\":\"not-seen\",\"x_noroshi_"
                              "denied\":0,\"x_noroshi_coverage\":{\"coverage\":"
                              "0.48,\"kinds\":[\"one\"],\"from\":\"2017-08-21"
                              "T00:00:00.000Z\",\"to\":\"2017-08-21T00:00:01."
                              "000Z\",\"gaps\":[[\"2017-08-21T00:00:00.000Z\","
                              "\"2017-08-22T00:00:00.000Z\"]]}}");
}

static void
round_plain(void **state)
{
    struct nr_stix_identity identity = {
        .head = head("identity", "identity" UUID),
        .name = NR_STR("x"),
        .identity_class = NR_STR("organization"),
        .sectors = { words, 1 },
    };
    struct nr_stix_report report = {
        .head = head("report", "report" UUID),
        .name = NR_STR("r"),
        .published_us = T0,
        .object_refs = { refs, 2 },
    };
    struct nr_stix_relationship relationship = {
        .head = head("relationship", "relationship" UUID),
        .relationship_type = NR_STR("indicates"),
        .source_ref = refs[0],
        .target_ref = refs[1],
        .stop_us = T0,
    };
    struct nr_stix_observed_data observed = {
        .head = head("observed-data", "observed-data" UUID),
        .first_observed_us = T0,
        .last_observed_us = T0,
        .number_observed = 5,
        .object_refs = { refs, 2 },
    };

    (void)state;
    ROUND(identity, identity, true,
        HEAD_TEXT("identity") ",\"name\":\"x\",\"identity_class\":"
                              "\"organization\",\"sectors\":[\"one\"]}");
    ROUND(report, report, true,
        HEAD_TEXT("report") ",\"name\":\"r\",\"published\":\"2017-08-21T00:00:"
                            "00.000Z\",\"object_refs\":" REFS_TEXT "}");
    ROUND(relationship, relationship, true,
        HEAD_TEXT("relationship") ",\"relationship_type\":\"indicates\","
                                  "\"source_ref\":\"indicator--8e2e2d2b-17d4-"
                                  "4cbf-938f-98ee46b3cd3f\",\"target_ref\":"
                                  "\"indicator--8e2e2d2b-17d4-4cbf-938f-98ee46"
                                  "b3cd40\",\"stop_time\":\"2017-08-21T00:00:"
                                  "00.000Z\"}");
    ROUND(observed_data, observed, false,
        HEAD_TEXT("observed-data") ",\"first_observed\":\"2017-08-21T00:00:00."
                                   "000Z\",\"last_observed\":\"2017-08-21T00:"
                                   "00:00.000Z\",\"number_observed\":5,"
                                   "\"object_refs\":" REFS_TEXT "}");
}

static void
round_actors(void **state)
{
    struct nr_stix_infrastructure infrastructure = {
        .head = head("infrastructure", "infrastructure" UUID),
        .name = NR_STR("i"),
        .infrastructure_types = { words, 1 },
    };
    struct nr_stix_malware malware = {
        .head = head("malware", "malware" UUID),
        .name = NR_STR("m"),
        .malware_types = { words, 1 },
    };
    struct nr_stix_campaign campaign = {
        .head = head("campaign", "campaign" UUID),
        .name = NR_STR("c"),
        .objective = NR_STR("o"),
        .first_seen_us = T0,
    };
    struct nr_stix_intrusion_set set = {
        .head = head("intrusion-set", "intrusion-set" UUID),
        .name = NR_STR("s"),
        .aliases = { words, 2 },
        .goals = { words, 1 },
    };
    struct nr_stix_marking_definition marking = {
        .head = head("marking-definition", "marking-definition" UUID),
        .name = NR_STR("n"),
    };

    (void)state;
    ROUND(infrastructure, infrastructure, true,
        HEAD_TEXT("infrastructure") ",\"name\":\"i\",\"infrastructure_types\":"
                                    "[\"one\"]}");
    ROUND(malware, malware, true,
        HEAD_TEXT("malware") ",\"name\":\"m\",\"malware_types\":[\"one\"],"
                             "\"is_family\":false}");
    ROUND(campaign, campaign, true,
        HEAD_TEXT("campaign") ",\"name\":\"c\",\"first_seen\":\"2017-08-21T00:"
                              "00:00.000Z\",\"objective\":\"o\"}");
    ROUND(intrusion_set, set, true,
        HEAD_TEXT("intrusion-set") ",\"name\":\"s\",\"aliases\":[\"one\","
                                   "\"two\"],\"goals\":[\"one\"]}");
    ROUND(marking_definition, marking, false,
        HEAD_TEXT("marking-definition") ",\"name\":\"n\"}");
}

#define GOOD_ID "\"indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f\""
#define GOOD    "{\"type\":\"indicator\",\"id\":" GOOD_ID

static void
refused(void **state)
{
    static const struct {
        const char *object;
        const char *name; /* of the property; NULL: taken */
    } v[] = {
        /* STIX 2.0: no spec_version, no pattern_type */
        { GOOD ",\"pattern\":\"[a:b = 1]\",\"valid_from\":\"2017-08-21T00:00:"
               "00Z\",\"created\":\"2017-08-21T00:00:00Z\"}",
            NULL },
        { GOOD ",\"spec_version\":\"2.1\",\"pattern\":\"[a:b = 1]\",\"valid_"
               "from\":\"2017-08-21T00:00:00Z\"}",
            "pattern_type" },
        { GOOD ",\"valid_from\":\"2017-08-21T00:00:00Z\"}", "pattern" },
        { GOOD ",\"pattern\":7,\"valid_from\":\"2017-08-21T00:00:00Z\"}",
            "pattern" },
        { GOOD ",\"pattern\":\"\",\"valid_from\":\"2017-08-21\"}",
            "valid_from" },
        { GOOD ",\"labels\":{}}", "labels" },
        { GOOD ",\"labels\":[7]}", "labels" },
        { GOOD ",\"revoked\":\"true\"}", "revoked" },
        { GOOD ",\"confidence\":1.5}", "confidence" },
        { "{\"id\":" GOOD_ID "}", "type" },
        { "{\"type\":\"indicator\"}", "id" },
        { "{\"type\":\"indicator\",\"id\":\"indicator--1\"}", "id" },
        { "{\"type\":\"report\",\"id\":" GOOD_ID "}", "id" },
        { "{\"type\":\"report\",\"id\":\"report--8e2e2d2b-17d4-4cbf-938f-98ee4"
          "6b3cd3f\"}",
            "type" },
        { "[]", "" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(v) / sizeof(*v); i++) {
        struct nr_stix_indicator out;
        const struct nr_json *j;
        struct nr_diag d = { 0 };
        struct nr_arena a;
        enum nr_err err;

        nr_arena_init(&a, ROOM);
        assert_int_equal(nr_json_parse(&a, nr_bytes_of(nr_str_of(v[i].object)),
                             &j, NULL),
            NR_OK);
        err = nr_stix_indicator_read(&a, j, &out, &d);
        CHECK_CASE(v[i].object, err == (v[i].name ? NR_EFORMAT : NR_OK));
        if (err)
            CHECK_CASE(v[i].object, strcmp(d.name, v[i].name) == 0);
        else
            CHECK_CASE(v[i].object,
                nr_str_eq(out.pattern_type, NR_STR("stix")) &&
                    nr_str_eq(out.head.spec_version, NR_STR("2.0")));
        nr_arena_fini(&a);
    }
}

static void
bundles(void **state)
{
    const struct nr_json *j;
    struct nr_stix_bundle bundle;
    struct nr_json_out o;
    struct nr_arena a;
    struct nr_buf b;

    (void)state;
    nr_arena_init(&a, ROOM);
    nr_buf_init(&b, ROOM);
    nr_json_out_init(&o, &b);
    nr_stix_bundle_open(&o, NR_STR("bundle" UUID));
    nr_json_put_raw(&o, NR_BYTES("{\"type\":\"x\"}"));
    nr_stix_bundle_close(&o);
    assert_int_equal(nr_json_out_end(&o), NR_OK);
    assert_int_equal(nr_json_parse(&a, nr_buf_bytes(&b), &j, NULL), NR_OK);
    assert_int_equal(nr_stix_bundle_read(j, &bundle, NULL), NR_OK);
    assert_true(nr_str_eq(bundle.id, NR_STR("bundle" UUID)));
    assert_int_equal(bundle.objects->n, 1);
    assert_int_equal(nr_stix_bundle_read(bundle.objects->child, &bundle, NULL),
        NR_EFORMAT);
    nr_buf_fini(&b);
    nr_arena_fini(&a);
}

static void
faults(void **state)
{
    static const char text[] =
        "{\"type\":\"sighting\",\"id\":\"sighting" UUID
        "\",\"sighting_of_ref\":\"x\",\"labels\":[\"a\"],\"x_noroshi_coverage\""
        ":{\"coverage\":1,\"kinds\":[\"dns\"],\"gaps\":[[\"2017-08-21T00:00:00Z"
        "\",\"2017-08-21T00:00:00Z\"]]}}";
    const struct nr_json *j;
    struct nr_arena tree;
    size_t refusals = 0;

    (void)state;
    nr_arena_init(&tree, ROOM);
    assert_int_equal(nr_json_parse(&tree, nr_bytes_of(nr_str_of(text)), &j,
                         NULL),
        NR_OK);
    for (size_t room = 1;; room += 8) {
        struct nr_stix_sighting out;
        struct nr_arena a;
        enum nr_err err;

        nr_arena_init(&a, room);
        err = nr_stix_sighting_read(&a, j, &out, NULL);
        nr_arena_fini(&a);
        if (!err)
            break;
        assert_int_equal(err, NR_ENOMEM);
        refusals++;
    }
    assert_true(refusals > 3);
    nr_arena_fini(&tree);
}

int stix_object_tests(const char *testdata);

int
stix_object_tests(const char *testdata)
{
    const struct CMUnitTest tests[] = {
        NR_TEST(round_hunt),
        NR_TEST(round_plain),
        NR_TEST(round_actors),
        NR_TEST(refused),
        NR_TEST(bundles),
        NR_TEST(faults),
    };

    (void)testdata;
    return cmocka_run_group_tests_name("stix objects", tests, NULL, NULL);
}
