/* Events must not depend on how the stream was cut into pieces; join
 * addresses and configurations are parsed too. */
#include "base/hash.h"
#include "member/member.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
mix(void *ctx, const struct nr_http_event *ev)
{
    uint64_t *sum = ctx;

    *sum = nr_xxh64(nr_bytes_of(ev->data), *sum);
    *sum = nr_xxh64(nr_bytes_of(ev->event), *sum);
    *sum = nr_xxh64(nr_bytes_of(ev->id), *sum);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct nr_bytes in = { data, size };
    uint64_t whole = 0, single = 0;
    struct nr_events e;
    struct nr_arena a;
    struct nr_config c;
    struct nr_hub_address at;
    struct nr_str text;

    nr_events_init(&e);
    if (nr_events_feed(&e, in, mix, &whole) != NR_OK)
        whole = 0;
    nr_events_fini(&e);
    nr_events_init(&e);
    for (size_t i = 0; i < size; i++)
        if (nr_events_feed(&e, nr_bytes_sub(in, i, i + 1), mix, &single) !=
            NR_OK)
            break;
    nr_events_fini(&e);
    if (size < NR_HTTP_EVENT_MAX && whole != single)
        abort();
    nr_arena_init(&a, (size_t)16 << 20);
    if (nr_config_parse(&a, in, &c, NULL) == NR_OK && c.n > size)
        abort();
    nr_arena_fini(&a);
    if (nr_str_from_utf8(in, &text) &&
        nr_hub_address_parse(text, &at, NULL) == NR_OK && at.pin[0] == 0)
        abort();
    return 0;
}
