/*
 * Hits as syslog messages (RFC 5424), over UDP (RFC 5426: a message a
 * datagram), TCP or a Unix stream (RFC 6587 3.4.1: octet counting), or Unix
 * datagrams (/dev/log).
 *
 * TCP tells how much the collector's kernel has acknowledged; messages beyond
 * that are sent again after a break, so one may arrive twice but none is lost
 * without a count. UDP gives no such promise, by its nature.
 */
#include "alert/carrier.h"
#include "stix/stix.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define SEND_BUFFER 262144 /* octets; keeps what is under way below the queue */
#define DEAD_MS     15000u /* a peer that acknowledges nothing so long is dead */
#define FIELD_MAX   ((size_t)1024) /* octets of one value */
#define HOST_MAX    255            /* RFC 5424 section 6: HOSTNAME */

/* Priority = facility * 8 + severity (RFC 5424 section 6.2.1). */
#define FACILITY_AUTH   4u
#define SEVERITY_WARN   4u
#define SEVERITY_NOTICE 5u

/* RFC 5612 reserves this enterprise number for examples; noroshi has none. */
#define SD_ID "noroshi@32473"

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_un un;
};

struct syslog {
    union address to;
    socklen_t to_n;
    int type; /* SOCK_DGRAM or SOCK_STREAM */
    int fd;
    bool iso;
    char host[HOST_MAX + 1];
    uint32_t pid;
    struct nr_env env;
    struct nr_buf text, framed;
    struct alert_carrier carrier;
    char name[160];
};

/* --- the message --- */

/* Section 6.3.3: '"', '\' and ']' are escaped; control characters and what is
 * not UTF-8 never pass. */
static void
put_value(struct nr_buf *b, struct nr_bytes v)
{
    struct nr_bytes rest = v;
    size_t start = b->n;

    while (rest.n > 0 && b->n - start < FIELD_MAX) {
        size_t good = nr_utf8_valid_len(rest), i = 0;

        for (; i < good && b->n - start < FIELD_MAX; i++) {
            uint8_t c = rest.p[i];

            if (c == '"' || c == '\\' || c == ']')
                nr_buf_put_c(b, '\\');
            nr_buf_put_c(b, (char)(c < 0x20 || c == 0x7f ? (uint8_t)'?' : c));
        }
        /* a cut may not fall into a character */
        for (; i < good && (rest.p[i] & 0xc0) == 0x80; i++)
            nr_buf_put_c(b, (char)rest.p[i]);
        if (i == good && good < rest.n) {
            nr_buf_put_str(b, NR_STR("\xef\xbf\xbd"));
            i++;
        }
        rest = nr_bytes_sub(rest, i, rest.n);
    }
}

static void
put_param(struct nr_buf *b, const char *name, struct nr_bytes v)
{
    if (v.n == 0)
        return;
    nr_buf_printf(b, " %s=\"", name);
    put_value(b, v);
    nr_buf_put_c(b, '"');
}

static void
put_text(struct nr_buf *b, const char *name, const char *v)
{
    put_param(b, name, nr_bytes_of(nr_str_of(v)));
}

static void
put_number(struct nr_buf *b, const char *name, uint64_t v)
{
    nr_buf_printf(b, " %s=\"%llu\"", name, (unsigned long long)v);
}

static void
put_time(struct nr_buf *b, const char *name, int64_t us)
{
    char text[NR_RFC3339_MAX];

    if (us != NR_TIME_NONE)
        put_text(b, name, nr_time_print(us / NR_US_PER_S, text));
}

static void
put_data(struct nr_buf *b, const struct alert_row *r)
{
    const struct nr_indicator *i = &r->indicator;
    char id[NR_HIT_ID_TEXT];

    nr_hit_id_print(r->id, id);
    nr_buf_put_str(b, NR_STR("[" SD_ID));
    put_text(b, "hit", id);
    put_text(b, "kind", nr_kind_name(i->kind));
    put_param(b, "indicator", nr_bytes_of(i->value));
    put_param(b, "observed", r->observed);
    put_text(b, "disposition", nr_action_name((enum nr_action)r->action));
    put_time(b, "time", r->time_us);
    put_text(b, "source", nr_source_name((enum nr_source)r->source));
    put_param(b, "file", r->file);
    put_number(b, "line", r->line);
    put_number(b, "fileLine", r->file_line);
    put_param(b, "id", nr_bytes_of(i->said.id));
    put_param(b, "warninglist", nr_bytes_of(i->warn));
    if (i->tlp > 0)
        put_text(b, "tlp", nr_tlp_name(i->tlp));
    if (i->pap > 0)
        put_text(b, "pap", nr_pap_name(i->pap));
    if (i->role != NR_ROLE_UNKNOWN)
        put_text(b, "role", nr_role_name(i->role));
    if (r->rollup) {
        put_number(b, "count", r->count);
        put_number(b, "firstLine", r->first_line);
        put_time(b, "firstTime", r->first_time_us);
    }
    nr_buf_put_c(b, ']');
}

/* Section 6.4: a byte order mark says that the text is UTF-8. */
static void
put_words(struct nr_buf *b, const struct alert_row *r)
{
    nr_buf_printf(b, " \xef\xbb\xbf%s ", nr_kind_name(r->indicator.kind));
    put_value(b, nr_bytes_of(r->indicator.value));
    if (r->rollup)
        nr_buf_printf(b, " seen %llu times more", (unsigned long long)r->count);
    else
        nr_buf_put_str(b, NR_STR(" seen"));
    nr_buf_printf(b, " (%s) in ", nr_action_name((enum nr_action)r->action));
    put_value(b, r->file);
    nr_buf_printf(b, " line %llu", (unsigned long long)r->file_line);
}

static void
put_message(const struct syslog *s, const struct alert_row *r, struct nr_buf *b)
{
    char now[NR_RFC3339_MAX];
    unsigned severity = r->action == NR_ACTION_DENIED ? SEVERITY_NOTICE
                                                      : SEVERITY_WARN;

    nr_buf_printf(b, "<%u>1 %s %s noroshi %u %s ", FACILITY_AUTH * 8 + severity,
        nr_time_print_us(s->env.now_us(s->env.ctx), now), s->host, s->pid,
        r->rollup ? "ROLLUP" : "HIT");
    put_data(b, r);
    put_words(b, r);
}

static enum nr_err
row(void *self, const struct alert_row *r, struct nr_diag *d)
{
    struct syslog *s = self;

    nr_buf_reset(&s->text);
    nr_buf_reset(&s->framed);
    put_message(s, r, &s->text);
    if (s->type == SOCK_STREAM)
        nr_buf_printf(&s->framed, "%zu ", s->text.n);
    nr_buf_put(&s->framed, nr_buf_bytes(&s->text));
    if (s->text.err != NR_OK || s->framed.err != NR_OK)
        return nr_fail(d, NR_ENOMEM, 0, "alert: out of memory");
    return alert_carrier_put(&s->carrier, nr_buf_bytes(&s->framed), d);
}

/* --- the channel --- */

static void
down(void *self)
{
    struct syslog *s = self;

    if (s->fd >= 0)
        (void)close(s->fd);
    s->fd = -1;
}

static void
tune(const struct syslog *s)
{
    int octets = SEND_BUFFER;
    unsigned ms = DEAD_MS;

    /* Without these it works, too: less exactly counted, later noticed. */
    (void)setsockopt(s->fd, SOL_SOCKET, SO_SNDBUF, &octets, sizeof(octets));
    if (s->to.any.sa_family != AF_UNIX && s->type == SOCK_STREAM)
        (void)setsockopt(s->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof(ms));
}

static enum nr_err
up(void *self, int *fd, struct nr_diag *d)
{
    struct syslog *s = self;
    s->fd = socket(s->to.any.sa_family, s->type | SOCK_NONBLOCK | SOCK_CLOEXEC,
        0);
    if (s->fd < 0)
        return nr_fail_sys(d, "socket");
    tune(s);
    if (connect(s->fd, &s->to.any, s->to_n) == 0 || errno == EINPROGRESS) {
        *fd = s->fd;
        return NR_OK;
    }
    (void)nr_fail_sys(d, "connect");
    down(s);
    return NR_ESYS;
}

static ssize_t
send_to(void *self, struct nr_bytes in)
{
    struct syslog *s = self;

    return send(s->fd, in.p, in.n, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* A collector says nothing; the end of its side is the end of the channel. */
static bool
is_alive(void *self)
{
    struct syslog *s = self;
    char drop[256];
    ssize_t n;

    if (s->type == SOCK_DGRAM)
        return true;
    do
        n = recv(s->fd, drop, sizeof(drop), MSG_DONTWAIT);
    while (n > 0 || (n < 0 && errno == EINTR));
    if (n == 0)
        errno = 0;
    return n < 0 && (errno == EAGAIN || errno == ENOTCONN);
}

static size_t
untaken(void *self)
{
    struct syslog *s = self;
    int n = 0;

    return ioctl(s->fd, SIOCOUTQ, &n) == 0 && n > 0 ? (size_t)n : 0;
}

static const struct alert_channel_ops datagrams = {
    .datagram = true,
    .up = up,
    .down = down,
    .write = send_to,
    .is_alive = is_alive,
    .untaken = untaken,
};
static const struct alert_channel_ops stream = {
    .up = up,
    .down = down,
    .write = send_to,
    .is_alive = is_alive,
    .untaken = untaken,
};

/* --- the output --- */

static enum nr_err
tick(void *self, struct nr_diag *d)
{
    struct syslog *s = self;

    (void)d;
    alert_carrier_pump(&s->carrier);
    return NR_OK;
}

static enum nr_err
finish(void *self, struct nr_diag *d)
{
    struct syslog *s = self;

    (void)d;
    alert_carrier_finish(&s->carrier);
    return NR_OK;
}

static enum nr_err
save(void *self, struct nr_buf *state, struct nr_diag *d)
{
    struct syslog *s = self;

    (void)state;
    (void)d;
    alert_carrier_pump(&s->carrier);
    return s->carrier.head ? NR_EBUSY : NR_OK;
}

static void
count(const void *self, struct nr_alert_counts *out)
{
    const struct syslog *s = self;

    alert_carrier_count(&s->carrier, out);
}

static void
destroy(void *self)
{
    struct syslog *s = self;

    alert_carrier_fini(&s->carrier);
    nr_buf_fini(&s->text);
    nr_buf_fini(&s->framed);
    free(s);
}

static const struct alert_sink_ops ops = {
    .row = row,
    .tick = tick,
    .finish = finish,
    .save = save,
    .count = count,
    .destroy = destroy,
};

static bool
parse_path(struct syslog *s, int type, struct nr_str path)
{
    if (path.n == 0 || path.n >= sizeof(s->to.un.sun_path))
        return false;
    s->to.un.sun_family = AF_UNIX;
    memcpy(s->to.un.sun_path, path.p, path.n);
    s->to_n = (socklen_t)sizeof(s->to.un);
    s->type = type;
    return true;
}

/* "192.0.2.1:514", "[::1]:601", "localhost:514" */
static bool
parse_ip(struct syslog *s, struct nr_str text)
{
    const char *colon = text.n > 0 ? memrchr(text.p, ':', text.n) : NULL;
    struct nr_str host, port;
    struct nr_bytes b;
    uint64_t n;

    if (!colon)
        return false;
    host = (struct nr_str){ text.p, (size_t)(colon - text.p) };
    port = (struct nr_str){ colon + 1, text.n - host.n - 1 };
    if (!nr_str_to_u64(port, &n) || n == 0 || n > 65535)
        return false;
    if (nr_str_eq(host, NR_STR("localhost")))
        host = NR_STR("127.0.0.1");
    b = nr_bytes_of(host);
    if (b.n > 2 && b.p[0] == '[' && b.p[b.n - 1] == ']') {
        s->to.v6.sin6_family = AF_INET6;
        s->to.v6.sin6_port = htons((uint16_t)n);
        s->to_n = (socklen_t)sizeof(s->to.v6);
        return nr_ipv6_parse(nr_bytes_sub(b, 1, b.n - 1), true,
            s->to.v6.sin6_addr.s6_addr);
    }
    s->to.v4.sin_family = AF_INET;
    s->to.v4.sin_port = htons((uint16_t)n);
    s->to_n = (socklen_t)sizeof(s->to.v4);
    return nr_ipv4_parse(b, (uint8_t *)&s->to.v4.sin_addr.s_addr);
}

static bool
parse_address(struct syslog *s, const char *address)
{
    static const struct {
        const char *scheme;
        int type;
        bool local;
    } schemes[] = { { "udp://", SOCK_DGRAM, false },
        { "tcp://", SOCK_STREAM, false }, { "unix:", SOCK_DGRAM, true },
        { "unix-stream:", SOCK_STREAM, true } };
    struct nr_str a = nr_str_of(address);

    for (size_t i = 0; i < sizeof(schemes) / sizeof(*schemes); i++) {
        struct nr_str head = nr_str_of(schemes[i].scheme), rest;

        if (!nr_bytes_starts(nr_bytes_of(a), nr_bytes_of(head)))
            continue;
        rest = (struct nr_str){ a.p + head.n, a.n - head.n };
        if (schemes[i].local)
            return parse_path(s, schemes[i].type, rest);
        s->type = schemes[i].type;
        return parse_ip(s, rest);
    }
    return false;
}

/* PRINTUSASCII only; else, or if there is none, the nil value. */
static void
set_host(struct syslog *s, const char *host)
{
    size_t n = host ? strlen(host) : 0;

    if (n == 0 || n > HOST_MAX) {
        host = "-";
        n = 1;
    }
    for (size_t i = 0; i < n; i++)
        s->host[i] = host[i] > 0x20 && host[i] < 0x7f ? host[i] : '?';
    s->host[n] = 0;
}

enum nr_err
alert_syslog_create(const struct nr_alert_conf *conf, const char *address,
    struct alert_sink *sink, struct nr_diag *d)
{
    struct syslog *s = calloc(1, sizeof(*s));

    if (!s)
        return nr_fail(d, NR_ENOMEM, 0, "alert: out of memory");
    s->fd = -1;
    if (!parse_address(s, address)) {
        free(s);
        return nr_fail_name(d, NR_EFORMAT,
            "syslog: udp://ADDRESS:PORT, tcp://ADDRESS:PORT, unix:PATH or "
            "unix-stream:PATH wanted, the address in digits",
            address);
    }
    s->iso = conf->iso;
    s->pid = conf->pid;
    s->env = conf->env;
    set_host(s, conf->host);
    (void)snprintf(s->name, sizeof(s->name), "syslog %s", address);
    nr_buf_init(&s->text, NR_ALERT_SYSLOG_MAX * 2);
    nr_buf_init(&s->framed, NR_ALERT_SYSLOG_MAX * 2 + 32);
    alert_carrier_init(&s->carrier,
        s->type == SOCK_DGRAM ? &datagrams : &stream, s, s->name, conf);
    *sink = (struct alert_sink){ &ops, s };
    return NR_OK;
}
