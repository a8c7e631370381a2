/*
 * Packets: what the layers up to TCP and UDP say. Private to the room. Pure
 * functions over octets of strangers.
 */
#ifndef NR_INPUT_PACKET_H
#define NR_INPUT_PACKET_H

#include "base/str.h"

#include <stdbool.h>

enum nr_proto {
    NR_PROTO_ICMP = 1,
    NR_PROTO_TCP = 6,
    NR_PROTO_UDP = 17,
    NR_PROTO_ICMP6 = 58,
};

#define NR_TCP_FIN 0x01u
#define NR_TCP_SYN 0x02u
#define NR_TCP_RST 0x04u
#define NR_TCP_ACK 0x10u

struct nr_packet {
    uint8_t src[16], dst[16]; /* IPv4: the first four octets, others zero */
    uint8_t version;          /* 4 or 6 */
    uint8_t proto;
    uint16_t sport, dport; /* 0 without ports, and of later fragments */
    uint32_t seq;          /* TCP */
    uint8_t flags;         /* TCP */
    uint32_t octets;       /* of the IP packet, as its header says */
    struct nr_bytes data;  /* behind TCP or UDP; what was captured of it */
};

/* Whether LINK (DLT_*) is one of those read: Ethernet with VLAN tags, raw IP,
 * BSD loopback, Linux cooked 1 and 2. */
bool nr_link_is_read(int link);

/* Dissect the octets of one frame. False: no IP packet, or one cut before its
 * addresses. */
bool nr_packet_read(int link, struct nr_bytes frame,
    struct nr_packet *out) NR_MUST_USE;

#endif
