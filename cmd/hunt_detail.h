/* Hosts and octets out of an answer, as rows and as members. */
#ifndef HUNT_DETAIL_H
#define HUNT_DETAIL_H

#include "archive/detail.h"
#include "base/buf.h"
#include "watchlist/watchlist.h"
#include "json/json.h"

/* Rows "host", "hosts-more", "octets" and "octets-total" of indicator I, each
 * with its kind and value behind the word. ISO: times not as seconds. */
void hunt_detail_tsv(struct nr_buf *b, const struct nr_indicator *i,
    const struct nr_detail_of *x, bool iso);

/* Members hosts, hosts_more, bytes_out, bytes_out_total of an open object. */
void hunt_detail_json(struct nr_json_out *o, const struct nr_detail_of *x,
    bool iso);

#endif
