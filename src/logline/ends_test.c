/* Who talked to whom. Lines: testdata/generated (tools/gen), testdata/public
 * (their README says whence), and documentation of the programs. */
#include "base/test.h"

#include "logline/logline.h"

#include <string.h>

struct row {
    enum nr_source source;
    const char *line;
    const char *from, *to, *asked, *machine;
    int64_t sent, got;
};

#define NONE NR_BYTES_NONE

static const struct row rows[] = {
    { NR_SOURCE_SQUID,
        "1483075423.304    513 10.199.1.24 TCP_TUNNEL/200 607335 CONNECT "
        "mail.netope.eu:443 - HIER_DIRECT/60.173.179.143 -",
        "10.199.1.24", "60.173.179.143", "mail.netope.eu", "", NONE, 607335 },
    { NR_SOURCE_SQUID,
        "1483179488.223    351 10.199.2.6 TCP_MISS/200 31689 GET "
        "http://zyr3e5.pixel.motsupuza35.fr/index-1096.css?id=802064 - "
        "HIER_DIRECT/156.182.53.186 application/javascript",
        "10.199.2.6", "156.182.53.186", "zyr3e5.pixel.motsupuza35.fr", "", NONE,
        31689 },
    { NR_SOURCE_NAMED,
        "01-Jan-2017 00:57:16.756 queries: info: client 10.199.5.88#45887 "
        "(club.maafbed42.cdn.chipuse.co.uk): query: "
        "club.maafbed42.cdn.chipuse.co.uk IN TXT + (10.199.0.53)",
        "10.199.5.88", "10.199.0.53", "club.maafbed42.cdn.chipuse.co.uk", "",
        NONE, NONE },
    { NR_SOURCE_DNSMASQ,
        "Feb 29 14:13:28 branch-gw dnsmasq[812]: query[A] bika.kepigu4.com "
        "from 10.95.1.159",
        "10.95.1.159", "", "bika.kepigu4.com", "", NONE, NONE },
    { NR_SOURCE_DNSMASQ,
        "Dec  2 13:06:54 branch-gw dnsmasq[812]: reply m.yokaya.com is "
        "78.100.90.2",
        "", "78.100.90.2", "m.yokaya.com", "", NONE, NONE },
    { NR_SOURCE_FIREWALL,
        "Jan  2 00:52:06 fw01 kernel: [3736326.863801] ACCEPT-OUT IN=eth1 "
        "OUT=eth0 MAC=00:1b:21:c7:5c:0e:00:26:88:75:c1:1f:08:00 "
        "SRC=10.199.5.117 DST=134.24.70.74 LEN=66 TOS=0x00 PREC=0x00 TTL=145 "
        "ID=14906 DF PROTO=TCP SPT=59985 DPT=80 WINDOW=29200",
        "10.199.5.117", "134.24.70.74", "", "", 66, NONE },
    { NR_SOURCE_SSHD,
        "Jan  1 23:59:59 bastion sshd[23610]: Accepted publickey for "
        "sakura.sato from 215.172.18.115 port 46429 ssh2: RSA SHA256:lbrw",
        "215.172.18.115", "", "", "bastion", NONE, NONE },
    { NR_SOURCE_MAIL,
        "Dec 30 12:40:34 mx1 postfix/qmgr[13702]: 663CC09206: "
        "from=<aoi.tanaka3@cdn.chipuse.co.uk>, size=219876, nrcpt=1 (queue "
        "active)",
        "", "", "", "mx1", NONE, NONE },
    { NR_SOURCE_CONN,
        "1483271537.103428\tCjZ3eo6z7jvbcAS2Ta\t10.199.4.34\t37508\t"
        "134.24.70.74\t443\ttcp\tssl\t5.529105\t409\t130494\tOTH\tT\tF\t0\tSr"
        "\t4\t569\t95\t134294\t(empty)",
        "10.199.4.34", "134.24.70.74", "", "", 409, 130494 },
    { NR_SOURCE_CONN,
        "1483305515.408412\tCm0nmjSiUbWOzD4xDI\t2401:8b54:6::1\t23639\t"
        "240e:f61c:4:1:597a:dab4:2e6d:c\t25\ttcp\tsmtp\t7.123524\t-\t-\tS0\tT"
        "\tF\t0\tShADadFf\t9\t2921\t78\t110453\t(empty)",
        "2401:8b54:6::1", "240e:f61c:4:1:597a:dab4:2e6d:c", "", "", NONE,
        NONE },
    /* columns that are not Zeek's own: no octets are taken from a guess */
    { NR_SOURCE_CONN,
        "1483271537.103428\tCjZ3eo6z7jvbcAS2Ta\t10.199.4.34\t37508\t"
        "134.24.70.74\t443\tssl\ttcp\t5.529105\t409\t130494\tOTH",
        "10.199.4.34", "134.24.70.74", "", "", NONE, NONE },
    { NR_SOURCE_ZEEK,
        "1320279566.1\tCUM0KZ3MLUfNB0cl11\t141.142.220.118\t48649\t"
        "208.80.152.118\t80\t1\tGET\tbits.wikimedia.org\t/skins-1.5/main.css",
        "141.142.220.118", "208.80.152.118", "", "", NONE, NONE },
    { NR_SOURCE_ZEEK, "#close\t2019-06-07-02-00-01", "", "", "", "", NONE,
        NONE },
    { NR_SOURCE_EVE,
        "{\"timestamp\":\"2017-01-01T14:48:21.455812+0900\",\"flow_id\":7719,"
        "\"in_iface\":\"eth1\",\"event_type\":\"http\",\"src_ip\":"
        "\"10.95.3.152\",\"src_port\":52417,\"dest_ip\":\"162.240.116.54\","
        "\"dest_port\":80,\"proto\":\"TCP\",\"http\":{\"hostname\":"
        "\"www.kepigu4.com\",\"url\":\"\\/v1\\/detail-1.html\",\"length\":"
        "71896}}",
        "10.95.3.152", "162.240.116.54", "www.kepigu4.com", "", NONE, NONE },
    { NR_SOURCE_EVE,
        "{\"timestamp\":\"2017-01-01T14:48:21.455812+0900\",\"flow_id\":7719,"
        "\"event_type\":\"flow\",\"src_ip\":\"10.95.3.152\",\"dest_ip\":"
        "\"162.240.116.54\",\"proto\":\"TCP\",\"flow\":{\"pkts_toserver\":10,"
        "\"bytes_toserver\":1234,\"bytes_toclient\":99}}",
        "10.95.3.152", "162.240.116.54", "", "", 1234, 99 },
    { NR_SOURCE_EVE,
        "{\"timestamp\":\"2017-01-01T14:48:21.455812+0900\",\"flow_id\":7719,"
        "\"event_type\": \"alert\",\"src_ip\":\"10.95.3.152\",\"dest_ip\":"
        "\"162.240.116.54\",\"flow\":{\"bytes_toserver\":1000}}",
        "10.95.3.152", "162.240.116.54", "", "", NONE, NONE },
    { NR_SOURCE_WINEVT,
        "{\"EventTime\":\"2016-12-30 04:29:03\",\"Hostname\":"
        "\"WS-0834.bravo.example\",\"User\":\"CORP\\\\aoi.tanaka\","
        "\"EventID\":3,\"Image\":\"C:\\\\Windows\\\\explorer.exe\","
        "\"Protocol\":\"tcp\",\"SourceIp\":\"10.199.6.206\","
        "\"DestinationIp\":\"96.133.136.151\",\"DestinationHostname\":"
        "\"hino.ronahi.cn\",\"DestinationPort\":443}",
        "10.199.6.206", "96.133.136.151", "", "WS-0834.bravo.example", NONE,
        NONE },
    { NR_SOURCE_ACCESS,
        "93.43.209.58 - - [08/Jun/2020:06:49:01 +0000] \"GET / HTTP/1.0\" 500 "
        "803 \"-\" \"-\"",
        "93.43.209.58", "", "", "", NONE, 803 },
    { NR_SOURCE_ALB,
        "http 2023-04-26T12:22:55.463821Z "
        "app/546213e5-apiexamplecom-api-94aa/490d68edf04676fe "
        "192.168.1.10:44740 10.0.0.1:80 0.000 0.001 0.000 200 200 34 366 "
        "\"GET http://www.example.com:80/ HTTP/1.1\" \"curl/7.46.0\" - -",
        "192.168.1.10", "10.0.0.1", "www.example.com",
        "app/546213e5-apiexamplecom-api-94aa/490d68edf04676fe", 34, 366 },
    { NR_SOURCE_FORTINET,
        "date=2024-10-14 time=13:46:40 devname=\"fw\" type=\"traffic\" "
        "srcip=10.1.2.3 dstip=192.0.2.7 sentbyte=1800 rcvdbyte=90 "
        "action=\"accept\"",
        "10.1.2.3", "192.0.2.7", "", "", 1800, 90 },
    { NR_SOURCE_TEXT, "nothing of a known form", "", "", "", "", NONE, NONE },
    { NR_SOURCE_TEXT, "", "", "", "", "", NONE, NONE },
};

static void
assert_view(const char *line, struct nr_bytes got, const char *want)
{
    struct nr_bytes w = { (const uint8_t *)want, strlen(want) };

    if (got.n != w.n || (w.n > 0 && memcmp(got.p, w.p, w.n) != 0))
        fail_msg("%.60s...: %.*s for %s", line, (int)got.n, (const char *)got.p,
            want);
}

static void
test_rows(void **state)
{
    struct nr_logfile_options o = { .last_s = INT64_C(978264000) };
    struct nr_logfile *f;

    (void)state;
    assert_int_equal(nr_logfile_new(&o, &f, NULL), NR_OK);
    /* twice: nothing of the lines before is left behind */
    for (size_t k = 0; k < 2 * sizeof(rows) / sizeof(rows[0]); k++) {
        const struct row *r = &rows[k / 2];
        struct nr_bytes line = { (const uint8_t *)r->line, strlen(r->line) };
        struct nr_ends e;

        nr_logline_ends(f, r->source, line, &e);
        assert_view(r->line, e.from, r->from);
        assert_view(r->line, e.to, r->to);
        assert_view(r->line, e.asked, r->asked);
        assert_view(r->line, e.machine, r->machine);
        assert_int_equal(e.sent, r->sent);
        assert_int_equal(e.got, r->got);
    }
    nr_logfile_free(f);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
