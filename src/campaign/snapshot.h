/*
 * Snapshots: what the writer and the reader agree on. Numbers are little
 * endian. After the magic and the version come the counts, the parameters in
 * their text form, the lists in the order of their facts, and the sum: XXH64 of
 * each 64 KiB with the sum before it as seed. What follows from the facts
 * (keys, lists in time, components, weights) is not written.
 */
#ifndef NR_CAMPAIGN_SNAPSHOT_H
#define NR_CAMPAIGN_SNAPSHOT_H

#include "campaign/state.h"

#define SNAP_MAGIC     "NRCAMP\r\n"
#define SNAP_MAGIC_LEN 8u
#define SNAP_CHUNK     ((size_t)64 << 10)
#define SNAP_CONF_MAX  ((size_t)8 << 10) /* octets of the parameters' text */

/* Octets of one record on disk; what the reader asks for before it allocates */
#define SNAP_SOURCE  36u
#define SNAP_ORG     26u
#define SNAP_CASE    31u
#define SNAP_VALUE   25u
#define SNAP_OBS     31u
#define SNAP_EDGE    14u
#define SNAP_RAW     14u
#define SNAP_NOTE    17u
#define SNAP_RELATED 16u
#define SNAP_SAYS    26u
#define SNAP_CAMP    24u
#define SNAP_ADJ     13u /* after 4 octets of their count, a case */

#endif
