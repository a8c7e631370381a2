#include "watch/watch.h"

#include "base/hash.h"

void
nr_hit_id_print(const uint8_t id[NR_HIT_ID], char out[NR_HIT_ID_TEXT])
{
    nr_hex_print((struct nr_bytes){ id, NR_HIT_ID }, out);
}
