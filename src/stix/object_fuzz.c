/* Properties on any JSON: what is read as a typed object, written and read
 * again is written the same; nothing of the check or of the markings depends
 * on what was checked before. */
#include "stix/stix.h"

#include <assert.h>
#include <stdlib.h>

#define ROOM ((size_t)64 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ROUND(name)                                                       \
    static void round_##name(struct nr_arena *a, const struct nr_json *j) \
    {                                                                     \
        struct nr_stix_##name v, again;                                   \
        struct nr_buf one, two;                                           \
        struct nr_json_out o;                                             \
        const struct nr_json *k;                                          \
                                                                          \
        if (nr_stix_##name##_read(a, j, &v, NULL))                        \
            return;                                                       \
        nr_buf_init(&one, ROOM);                                          \
        nr_buf_init(&two, ROOM);                                          \
        nr_json_out_init(&o, &one);                                       \
        nr_stix_##name##_write(&o, &v);                                   \
        if (nr_json_out_end(&o) == NR_OK &&                               \
            nr_json_parse(a, nr_buf_bytes(&one), &k, NULL) == NR_OK) {    \
            assert(nr_stix_##name##_read(a, k, &again, NULL) == NR_OK);   \
            nr_json_out_init(&o, &two);                                   \
            nr_stix_##name##_write(&o, &again);                           \
            assert(nr_json_out_end(&o) == NR_OK);                         \
            assert(nr_bytes_eq(nr_buf_bytes(&one), nr_buf_bytes(&two)));  \
        }                                                                 \
        nr_buf_fini(&one);                                                \
        nr_buf_fini(&two);                                                \
    }

ROUND(identity)
ROUND(report)
ROUND(relationship)
ROUND(marking_definition)
ROUND(observed_data)
ROUND(infrastructure)
ROUND(malware)
ROUND(campaign)
ROUND(intrusion_set)
ROUND(sighting)
ROUND(indicator)

static void
all(struct nr_arena *a, const struct nr_json *j)
{
    char id[NR_STIX_ID_MAX];
    struct nr_stix_head head;

    if (nr_stix_check(j, NULL) == NR_OK &&
        nr_json_is(nr_json_get(j, NR_STR("id")), NR_JSON_STRING) &&
        !nr_json_get(j, NR_STR("objects")))
        assert(nr_stix_head_read(a, j, &head, NULL) == NR_OK);
    if (nr_stix_sco_id(a, j, id, NULL) == NR_OK)
        assert(nr_stix_id_parse(nr_str_of(id), NULL));
    round_identity(a, j);
    round_report(a, j);
    round_relationship(a, j);
    round_marking_definition(a, j);
    round_observed_data(a, j);
    round_infrastructure(a, j);
    round_malware(a, j);
    round_campaign(a, j);
    round_intrusion_set(a, j);
    round_sighting(a, j);
    round_indicator(a, j);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct nr_json *j;
    struct nr_arena a;
    uint8_t *copy = malloc(size + !size);

    if (!copy)
        return 0;
    if (size)
        memcpy(copy, data, size);
    nr_arena_init(&a, ROOM);
    if (nr_json_parse(&a, (struct nr_bytes){ copy, size }, &j, NULL) == NR_OK)
        all(&a, j);
    nr_arena_fini(&a);
    free(copy);
    return 0;
}
