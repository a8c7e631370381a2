#include "input/capture.h"

#include "base/buf.h"
#include "base/date.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/num.h"
#include "input/input.h"
#include "input/packet.h"
#include "input/talk.h"

#include <arpa/inet.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define BUCKETS    ((size_t)65536)
#define WRITE_SIZE ((size_t)1 << 18)
#define LINES_MAX  ((size_t)8 << 20) /* of what waits to be written */
#define DNS_PORT   53
#define SECONDS    INT64_C(1000000)
#define YEAR_9999  INT64_C(253402300799)

struct flow {
    struct flow *next;            /* of its bucket */
    struct flow *older, *younger; /* by last packet */
    struct nr_packet first;       /* its data is not kept */
    int64_t from_us, to_us;
    uint64_t out, in, out_n, in_n; /* octets and packets */
    uint64_t id, bucket;
    uint8_t *head; /* owned; of a request or hello that is not whole */
    size_t head_n;
    uint32_t seq; /* of the octet behind them */
    enum nr_talk what;
    bool back; /* said by the other side than sent the first packet */
};

struct capture {
    struct flow *bucket[BUCKETS];
    struct flow *oldest, *youngest;
    size_t flows, heads;
    uint64_t ids, written, max;
    struct nr_buf out, part;
    int to;
    int64_t now_us;
};

bool
nr_capture_is(struct nr_bytes b)
{
    return nr_bytes_starts(b, NR_BYTES("\xd4\xc3\xb2\xa1")) ||
        nr_bytes_starts(b, NR_BYTES("\xa1\xb2\xc3\xd4")) ||
        nr_bytes_starts(b, NR_BYTES("\x4d\x3c\xb2\xa1")) ||
        nr_bytes_starts(b, NR_BYTES("\xa1\xb2\x3c\x4d")) ||
        nr_bytes_starts(b, NR_BYTES("\x0a\x0d\x0d\x0a"));
}

static void
put_head(struct capture *c, const struct flow *f, int64_t us, bool back)
{
    const struct nr_packet *p = &f->first;
    int family = p->version == 4 ? AF_INET : AF_INET6;
    const char *proto = p->proto == NR_PROTO_TCP ? "TCP"
        : p->proto == NR_PROTO_UDP               ? "UDP"
        : p->proto == NR_PROTO_ICMP              ? "ICMP"
        : p->proto == NR_PROTO_ICMP6             ? "IPv6-ICMP"
                                                 : NULL;
    char time[NR_RFC3339_MAX], a[INET6_ADDRSTRLEN], b[INET6_ADDRSTRLEN];

    (void)inet_ntop(family, back ? p->dst : p->src, a, sizeof(a));
    (void)inet_ntop(family, back ? p->src : p->dst, b, sizeof(b));
    nr_buf_printf(&c->out, "{\"timestamp\":\"%s\",\"flow_id\":%llu,",
        nr_time_print_us(us, time), (unsigned long long)f->id);
    nr_buf_printf(&c->out, "\"src_ip\":\"%s\",\"dest_ip\":\"%s\",", a, b);
    if (p->proto == NR_PROTO_TCP || p->proto == NR_PROTO_UDP)
        nr_buf_printf(&c->out, "\"src_port\":%u,\"dest_port\":%u,",
            (unsigned)(back ? p->dport : p->sport),
            (unsigned)(back ? p->sport : p->dport));
    if (proto)
        nr_buf_printf(&c->out, "\"proto\":\"%s\",", proto);
    else
        nr_buf_printf(&c->out, "\"proto\":\"%u\",", p->proto);
}

/* The line whose end is in c->part. */
static void
put_event(struct capture *c, const struct flow *f, bool back)
{
    put_head(c, f, c->now_us, back);
    nr_buf_put(&c->out, nr_buf_bytes(&c->part));
    nr_buf_put_str(&c->out, NR_STR("}\n"));
    nr_buf_reset(&c->part);
}

static void
drop_head(struct capture *c, struct flow *f)
{
    c->heads -= f->head ? NR_FLOW_HEAD_MAX : 0;
    free(f->head);
    f->head = NULL;
    f->head_n = 0;
}

static void
put_talk(struct capture *c, const struct flow *f, struct nr_bytes b, bool back)
{
    if (nr_talk_begins(b) == NR_TALK_HTTP ? nr_talk_http(b, &c->part)
                                          : nr_talk_tls(b, &c->part))
        put_event(c, f, back);
}

static void
end_head(struct capture *c, struct flow *f)
{
    if (f->head)
        put_talk(c, f, (struct nr_bytes){ f->head, f->head_n }, f->back);
    drop_head(c, f);
}

static void
unlink_age(struct capture *c, struct flow *f)
{
    *(f->older ? &f->older->younger : &c->oldest) = f->younger;
    *(f->younger ? &f->younger->older : &c->youngest) = f->older;
    f->older = f->younger = NULL;
}

static void
link_age(struct capture *c, struct flow *f)
{
    f->older = c->youngest;
    *(c->youngest ? &c->youngest->younger : &c->oldest) = f;
    c->youngest = f;
}

static void
end_flow(struct capture *c, struct flow *f)
{
    struct flow **at = &c->bucket[f->bucket];
    char from[NR_RFC3339_MAX], to[NR_RFC3339_MAX];

    end_head(c, f);
    put_head(c, f, f->from_us, false);
    nr_buf_printf(&c->out,
        "\"event_type\":\"flow\",\"flow\":{\"pkts_toserver\":%llu,"
        "\"pkts_toclient\":%llu,\"bytes_toserver\":%llu,"
        "\"bytes_toclient\":%llu,\"start\":\"%s\",\"end\":\"%s\"}}\n",
        (unsigned long long)f->out_n, (unsigned long long)f->in_n,
        (unsigned long long)f->out, (unsigned long long)f->in,
        nr_time_print_us(f->from_us, from), nr_time_print_us(f->to_us, to));
    unlink_age(c, f);
    while (*at != f)
        at = &(*at)->next;
    *at = f->next;
    c->flows--;
    free(f);
}

static bool
is_same(const struct nr_packet *a, const struct nr_packet *b, bool *back)
{
    if (a->version != b->version || a->proto != b->proto)
        return false;
    *back = false;
    if (a->sport == b->sport && a->dport == b->dport &&
        memcmp(a->src, b->src, 16) == 0 && memcmp(a->dst, b->dst, 16) == 0)
        return true;
    *back = true;
    return a->sport == b->dport && a->dport == b->sport &&
        memcmp(a->src, b->dst, 16) == 0 && memcmp(a->dst, b->src, 16) == 0;
}

static uint64_t
bucket_of(const struct nr_packet *p)
{
    struct nr_bytes a = { p->src, 16 }, b = { p->dst, 16 };
    uint64_t mix = (uint64_t)p->proto << 32 | (uint64_t)(p->sport ^ p->dport);

    return (nr_xxh64(a, mix) + nr_xxh64(b, mix)) % BUCKETS;
}

/* The flow of P; *BACK: against its first packet. NULL: no memory. */
static struct flow *
find_flow(struct capture *c, const struct nr_packet *p, bool *back)
{
    uint64_t at = bucket_of(p);
    struct flow *f = c->bucket[at];

    while (f && !is_same(&f->first, p, back))
        f = f->next;
    if (f) {
        unlink_age(c, f);
        link_age(c, f);
        return f;
    }
    if (c->flows >= NR_FLOWS_MAX)
        end_flow(c, c->oldest);
    f = calloc(1, sizeof(*f));
    if (!f)
        return NULL;
    f->first = *p;
    f->first.data = (struct nr_bytes){ 0 };
    f->id = ++c->ids;
    f->bucket = at;
    f->from_us = f->to_us = c->now_us;
    f->next = c->bucket[at];
    c->bucket[at] = f;
    c->flows++;
    link_age(c, f);
    *back = false;
    return f;
}

/* Octets of TCP behind those of the head gathered. */
static void
grow_head(struct capture *c, struct flow *f, const struct nr_packet *p)
{
    size_t n = nr_min(p->data.n, NR_FLOW_HEAD_MAX - f->head_n);

    if (p->seq != f->seq) {
        if ((int32_t)(p->seq - f->seq) > 0)
            end_head(c, f); /* a packet is missing */
        return;
    }
    memcpy(f->head + f->head_n, p->data.p, n);
    f->head_n += n;
    f->seq += (uint32_t)p->data.n;
    if (f->head_n == NR_FLOW_HEAD_MAX ||
        nr_talk_is_whole(f->what, (struct nr_bytes){ f->head, f->head_n }))
        end_head(c, f);
}

static void
take_tcp(struct capture *c, struct flow *f, const struct nr_packet *p,
    bool back)
{
    struct nr_bytes b = p->data;
    enum nr_talk what;

    if (b.n == 0)
        return;
    if (p->sport == DNS_PORT || p->dport == DNS_PORT) {
        if (b.n > 2 && (size_t)(b.p[0] << 8 | b.p[1]) <= b.n - 2 &&
            nr_talk_dns(nr_talk_skip(b, 2), &c->part))
            put_event(c, f, back);
        return;
    }
    if (f->head && f->back == back) {
        grow_head(c, f, p);
        return;
    }
    what = nr_talk_begins(b);
    if (what == NR_TALK_NONE)
        return;
    if (nr_talk_is_whole(what, b) || b.n >= NR_FLOW_HEAD_MAX || f->head ||
        c->heads + NR_FLOW_HEAD_MAX > NR_FLOW_HEADS_MAX ||
        !(f->head = malloc(NR_FLOW_HEAD_MAX))) {
        put_talk(c, f, b, back);
        return;
    }
    c->heads += NR_FLOW_HEAD_MAX;
    memcpy(f->head, b.p, b.n);
    f->head_n = b.n;
    f->seq = p->seq + (uint32_t)b.n;
    f->what = what;
    f->back = back;
}

static bool
take_packet(struct capture *c, const struct nr_packet *p)
{
    struct flow *f;
    bool back;

    while (c->oldest && c->now_us - c->oldest->to_us > NR_FLOW_IDLE_S * SECONDS)
        end_flow(c, c->oldest);
    f = find_flow(c, p, &back);
    if (!f)
        return false;
    f->to_us = c->now_us > f->to_us ? c->now_us : f->to_us;
    *(back ? &f->in : &f->out) += p->octets;
    *(back ? &f->in_n : &f->out_n) += 1;
    if (p->proto == NR_PROTO_TCP)
        take_tcp(c, f, p, back);
    else if (p->proto == NR_PROTO_UDP &&
        (p->sport == DNS_PORT || p->dport == DNS_PORT) &&
        nr_talk_dns(p->data, &c->part))
        put_event(c, f, back);
    return true;
}

static enum nr_err
flush(struct capture *c, size_t above, const char *name, struct nr_diag *d)
{
    enum nr_err err;

    if (c->out.err || c->part.err)
        return nr_fail_name(d, NR_ENOMEM, "capture: no memory", name);
    if (c->out.n <= above)
        return NR_OK;
    c->written += c->out.n;
    if (c->written > c->max)
        return nr_fail_name(d, NR_ELIMIT, "capture: holds more than a pack may",
            name);
    err = nr_fd_write(c->to, nr_buf_bytes(&c->out), d);
    nr_buf_reset(&c->out);
    return err;
}

static enum nr_err
read_packets(struct capture *c, pcap_t *pcap, const char *name,
    struct nr_diag *d)
{
    int link = pcap_datalink(pcap), got = PCAP_ERROR_BREAK;
    struct pcap_pkthdr *h;
    const uint8_t *frame;
    enum nr_err err = NR_OK;

    if (!nr_link_is_read(link))
        return nr_fail_name(d, NR_EFORMAT,
            "capture: of a link that is not read (Ethernet, raw IP, loopback "
            "and Linux cooked are)",
            name);
    while (!err && (got = pcap_next_ex(pcap, &h, &frame)) == 1) {
        struct nr_packet p;

        if (h->ts.tv_sec < 0 || h->ts.tv_sec > YEAR_9999 ||
            !nr_packet_read(link, (struct nr_bytes){ frame, h->caplen }, &p))
            continue;
        c->now_us = (int64_t)h->ts.tv_sec * SECONDS +
            (int64_t)h->ts.tv_usec % SECONDS;
        if (!take_packet(c, &p))
            return nr_fail_name(d, NR_ENOMEM, "capture: no memory", name);
        err = flush(c, WRITE_SIZE, name, d);
    }
    if (err || got == PCAP_ERROR_BREAK)
        return err;
    if (strstr(pcap_geterr(pcap), "truncated"))
        return nr_fail_name(d, NR_ETRUNC,
            "capture: ends early; what came before was read", name);
    return nr_fail_name(d, NR_EFORMAT,
        "capture: damaged from here on, or of several links; what came before "
        "was read",
        name);
}

enum nr_err
nr_capture_lines(int fd, const char *name, int to, uint64_t max,
    struct nr_diag *d)
{
    struct capture *c = calloc(1, sizeof(*c));
    char why[PCAP_ERRBUF_SIZE];
    pcap_t *pcap = NULL;
    FILE *file = NULL;
    enum nr_err err = NR_OK, last;
    int copy = dup(fd);

    if (!c || copy < 0 || lseek(copy, 0, SEEK_SET) < 0 ||
        !(file = fdopen(copy, "rb"))) {
        if (copy >= 0)
            (void)close(copy);
        free(c);
        return nr_fail_file(d, "capture: open", name);
    }
    c->to = to;
    c->max = max;
    nr_buf_init(&c->out, LINES_MAX);
    nr_buf_init(&c->part, LINES_MAX);
    pcap = pcap_fopen_offline(file, why);
    if (!pcap) {
        (void)fclose(file);
        err = nr_fail_name(d, NR_EFORMAT,
            "capture: its head is damaged or cut off", name);
    } else {
        err = read_packets(c, pcap, name, d);
        pcap_close(pcap);
    }
    while (c->oldest) {
        end_flow(c, c->oldest);
        last = err == NR_ESYS ? err : flush(c, WRITE_SIZE, name, d);
        err = err ? err : last;
    }
    last = err == NR_ESYS ? err : flush(c, 0, name, d);
    err = err ? err : last;
    nr_buf_fini(&c->out);
    nr_buf_fini(&c->part);
    free(c);
    return err;
}
