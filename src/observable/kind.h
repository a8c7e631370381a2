/* A row of the table of kinds; inside of the room. */
#ifndef NR_OBSERVABLE_KIND_H
#define NR_OBSERVABLE_KIND_H

#include "base/buf.h"
#include "base/err.h"
#include "observable/observable.h"

struct nr_kind_row {
    const char *name, *stix_path;
    bool hot;
    bool (*is_sound)(struct nr_bytes key);
    /* IN: without white space around it and without disarming. */
    enum nr_err (
        *read)(struct nr_str in, struct nr_buf *out, struct nr_diag *d);
    void (*show)(struct nr_bytes key, struct nr_buf *out);
};

extern const struct nr_kind_row nr_kind_rows[NR_KINDS];

#define NR_READER(name) \
    enum nr_err name(struct nr_str in, struct nr_buf *out, struct nr_diag *d)
NR_READER(nr_read_ipv4);
NR_READER(nr_read_ipv6);
NR_READER(nr_read_cidr4);
NR_READER(nr_read_cidr6);
NR_READER(nr_read_domain);
NR_READER(nr_read_url);
NR_READER(nr_read_email);
NR_READER(nr_read_md5);
NR_READER(nr_read_sha1);
NR_READER(nr_read_sha256);
NR_READER(nr_read_sha512);
NR_READER(nr_read_btc);
NR_READER(nr_read_eth);
NR_READER(nr_read_ja4);
NR_READER(nr_read_filename);
NR_READER(nr_read_cve);
NR_READER(nr_read_asn);

void nr_show_ipv4(struct nr_bytes key, struct nr_buf *out);
void nr_show_ipv6(struct nr_bytes key, struct nr_buf *out);
void nr_show_cidr4(struct nr_bytes key, struct nr_buf *out);
void nr_show_cidr6(struct nr_bytes key, struct nr_buf *out);
void nr_show_hex(struct nr_bytes key, struct nr_buf *out);
void nr_show_eth(struct nr_bytes key, struct nr_buf *out);
void nr_show_text(struct nr_bytes key, struct nr_buf *out);
void nr_show_url(struct nr_bytes key, struct nr_buf *out);
void nr_show_asn(struct nr_bytes key, struct nr_buf *out);

#endif
