#include "input/packet.h"

#include "base/cur.h"
#include "base/num.h"

#include <pcap/dlt.h>

#define ETHER_IP4   0x0800
#define ETHER_IP6   0x86dd
#define ETHER_VLAN  0x8100 /* IEEE 802.1Q */
#define ETHER_QINQ  0x88a8 /* IEEE 802.1ad */
#define ETHER_PPPOE 0x8864 /* RFC 2516 */
#define PPP_IP4     0x0021
#define PPP_IP6     0x0057
#define TAGS_MAX    4
#define EXTENSIONS  8 /* headers between IPv6 and what it carries */

#ifndef DLT_LINUX_SLL2
#define DLT_LINUX_SLL2 276
#endif

bool
nr_link_is_read(int link)
{
    switch (link) {
    case DLT_EN10MB:
    case DLT_RAW:
    case DLT_IPV4:
    case DLT_IPV6:
    case DLT_NULL:
    case DLT_LOOP:
    case DLT_LINUX_SLL:
    case DLT_LINUX_SLL2:
        return true;
    default:
        return false;
    }
}

/* Take tags off until an EtherType of IP stands there. */
static bool
past_tags(struct nr_cur *c, uint16_t type)
{
    for (int i = 0; i < TAGS_MAX; i++) {
        if (type == ETHER_IP4 || type == ETHER_IP6)
            return c->err == NR_OK;
        if (type == ETHER_PPPOE) {
            (void)nr_cur_take(c, 6);
            type = nr_cur_be16(c);
            return c->err == NR_OK && (type == PPP_IP4 || type == PPP_IP6);
        }
        if (type != ETHER_VLAN && type != ETHER_QINQ)
            return false;
        (void)nr_cur_take(c, 2);
        type = nr_cur_be16(c);
    }
    return false;
}

/* To the IP header. Which version it has its first octet says. */
static bool
past_link(int link, struct nr_cur *c)
{
    uint16_t type;

    switch (link) {
    case DLT_EN10MB:
        (void)nr_cur_take(c, 12);
        return past_tags(c, nr_cur_be16(c));
    case DLT_NULL:
    case DLT_LOOP:
        (void)nr_cur_take(c, 4);
        return c->err == NR_OK;
    case DLT_LINUX_SLL:
        (void)nr_cur_take(c, 14);
        return past_tags(c, nr_cur_be16(c));
    case DLT_LINUX_SLL2:
        type = nr_cur_be16(c);
        (void)nr_cur_take(c, 18);
        return past_tags(c, type);
    default:
        return true;
    }
}

/* RFC 791 section 3.1. *LATER: a fragment that is not the first. */
static bool
ip4(struct nr_cur *c, struct nr_packet *out, bool *later)
{
    uint8_t head = nr_cur_u8(c);
    size_t options = (size_t)(head & 15) * 4, total, left;
    uint16_t fragment;
    struct nr_bytes a, b;

    (void)nr_cur_u8(c);
    total = nr_cur_be16(c);
    (void)nr_cur_be16(c);
    fragment = nr_cur_be16(c);
    (void)nr_cur_u8(c);
    out->proto = nr_cur_u8(c);
    (void)nr_cur_be16(c);
    a = nr_cur_take(c, 4);
    b = nr_cur_take(c, 4);
    if (c->err || options < 20)
        return false;
    memcpy(out->src, a.p, 4);
    memcpy(out->dst, b.p, 4);
    *later = (fragment & 0x1fff) != 0;
    left = nr_cur_left(c) + 20;
    /* 0: the network card was to fill it in (TSO) */
    out->octets = (uint32_t)(total ? total : left);
    if (total >= options && total < left)
        c->end -= left - total; /* Ethernet fills short frames */
    (void)nr_cur_take(c, options - 20);
    return true;
}

/* RFC 8200 sections 3 and 4. */
static bool
ip6(struct nr_cur *c, struct nr_packet *out, bool *later)
{
    struct nr_bytes a, b;
    size_t length;

    (void)nr_cur_be32(c);
    length = nr_cur_be16(c);
    out->proto = nr_cur_u8(c);
    (void)nr_cur_u8(c);
    a = nr_cur_take(c, 16);
    b = nr_cur_take(c, 16);
    if (c->err)
        return false;
    memcpy(out->src, a.p, 16);
    memcpy(out->dst, b.p, 16);
    out->octets = (uint32_t)(40 + (length ? length : nr_cur_left(c)));
    if (length && length < nr_cur_left(c))
        c->end = c->p + length;
    for (int i = 0; i < EXTENSIONS; i++) {
        uint8_t next;

        if (out->proto == 44) { /* fragment */
            next = nr_cur_u8(c);
            (void)nr_cur_u8(c);
            *later = (nr_cur_be16(c) & 0xfff8) != 0;
            (void)nr_cur_be32(c);
        } else if (out->proto == 0 || out->proto == 43 || out->proto == 60) {
            next = nr_cur_u8(c);
            (void)nr_cur_take(c, (size_t)nr_cur_u8(c) * 8 + 6);
        } else {
            return true;
        }
        if (c->err)
            return true; /* addresses are known, what is carried is not */
        out->proto = next;
    }
    return true;
}

static void
transport(struct nr_cur *c, struct nr_packet *out)
{
    if (out->proto != NR_PROTO_TCP && out->proto != NR_PROTO_UDP)
        return;
    out->sport = nr_cur_be16(c);
    out->dport = nr_cur_be16(c);
    if (out->proto == NR_PROTO_UDP) {
        (void)nr_cur_be32(c);
    } else { /* RFC 9293 section 3.1 */
        size_t head;

        out->seq = nr_cur_be32(c);
        (void)nr_cur_be32(c);
        head = (size_t)(nr_cur_u8(c) >> 4) * 4;
        out->flags = nr_cur_u8(c);
        (void)nr_cur_take(c, 6);
        if (head < 20)
            return;
        (void)nr_cur_take(c, head - 20);
    }
    if (c->err == NR_OK)
        out->data = (struct nr_bytes){ c->p, nr_cur_left(c) };
}

bool
nr_packet_read(int link, struct nr_bytes frame, struct nr_packet *out)
{
    struct nr_cur c = nr_cur(frame);
    bool later = false;

    *out = (struct nr_packet){ 0 };
    if (!past_link(link, &c) || nr_cur_left(&c) == 0)
        return false;
    out->version = *c.p >> 4;
    if (out->version == 4 ? !ip4(&c, out, &later)
                          : out->version != 6 || !ip6(&c, out, &later))
        return false;
    if (!later && c.err == NR_OK)
        transport(&c, out);
    return true;
}
