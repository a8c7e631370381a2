/* usage: crypto_test RFC8032 CCTV (testdata/README says where from) */
#include "base/hash.h"
#include "base/test.h"
#include "crypto/crypto.h"

#include <stdlib.h>

#define LINE_MAX_OCTETS 4096
/* As counted by the collectors of the vectors with libsodium 1.0.18: cases
 * whose only peculiarity is a low-order component without residue. */
#define CCTV_CASES    914
#define CCTV_ACCEPTED 43

static const char *rfc_path, *cctv_path;

static enum nr_err
count_up(void *ctx, void *p, size_t n)
{
    uint8_t *next = ctx;

    for (size_t i = 0; i < n; i++)
        ((uint8_t *)p)[i] = (*next)++;
    return NR_OK;
}

static enum nr_err
no_random(void *ctx, void *p, size_t n)
{
    (void)ctx;
    memset(p, 0, n);
    return NR_ESYS;
}

static struct nr_str
word(struct nr_str *rest)
{
    return nr_str_cut(nr_str_trim(*rest), ' ', rest);
}

static size_t
unhex(struct nr_str s, uint8_t *out, size_t max)
{
    size_t n = s.n / 2;

    if (s.n == 1)
        return 0;
    assert_true(n <= max && nr_hex_parse(nr_bytes_of(s), out, n));
    return n;
}

static void
rfc8032(void **state)
{
    char line[LINE_MAX_OCTETS];
    FILE *f = fopen(rfc_path, "r");
    size_t cases = 0;

    (void)state;
    assert_non_null(f);
    while (fgets(line, sizeof(line), f)) {
        struct nr_str rest = nr_str_of(line);
        uint8_t seed[32], pub[32], msg[256], want[64], sig[64];
        struct nr_bytes message = { msg, 0 };
        struct nr_ed25519 key;

        unhex(word(&rest), seed, sizeof(seed));
        unhex(word(&rest), pub, sizeof(pub));
        message.n = unhex(word(&rest), msg, sizeof(msg));
        unhex(word(&rest), want, sizeof(want));
        nr_ed25519_from_seed(seed, &key);
        assert_memory_equal(key.pub, pub, sizeof(pub));
        nr_ed25519_sign(&key, message, sig);
        assert_memory_equal(sig, want, sizeof(sig));
        assert_true(nr_ed25519_verify(pub, message, sig));
        for (size_t i = 0; i < sizeof(sig); i++) {
            sig[i] ^= 1;
            assert_false(nr_ed25519_verify(pub, message, sig));
            sig[i] ^= 1;
        }
        cases++;
    }
    fclose(f);
    assert_int_equal(cases, 3);
}

static void
edge_cases(void **state)
{
    static const char *const refused[] = { "low_order_A", "low_order_R",
        "non_canonical_A", "non_canonical_R", "low_order_residue" };
    char line[LINE_MAX_OCTETS];
    FILE *f = fopen(cctv_path, "r");
    size_t cases = 0, accepted = 0;

    (void)state;
    assert_non_null(f);
    while (fgets(line, sizeof(line), f)) {
        struct nr_str rest = nr_str_of(line), msg, flags;
        uint8_t pub[32], sig[64];
        char text[64] = "", list[256] = "";
        bool ok;

        unhex(word(&rest), pub, sizeof(pub));
        unhex(word(&rest), sig, sizeof(sig));
        msg = word(&rest);
        flags = nr_str_trim(rest);
        assert_true(msg.n < sizeof(text) && flags.n + 2 < sizeof(list));
        for (size_t i = 0; i < msg.n; i++)
            text[i] = msg.p[i] == '_' ? ' ' : msg.p[i];
        list[0] = ',';
        memcpy(list + 1, flags.p, flags.n);
        list[flags.n + 1] = ','; /* the rest is zero */
        ok = nr_ed25519_verify(pub,
            (struct nr_bytes){ (const uint8_t *)text, msg.n }, sig);
        for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++) {
            char flag[32];

            (void)snprintf(flag, sizeof(flag), ",%s,", refused[i]);
            if (strstr(list, flag))
                CHECK_CASE(line, !ok);
        }
        accepted += ok;
        cases++;
    }
    fclose(f);
    assert_int_equal(cases, CCTV_CASES);
    assert_int_equal(accepted, CCTV_ACCEPTED);
}

static void
tokens(void **state)
{
    uint8_t next = 0;
    const struct nr_env env = { .random = count_up, .ctx = &next };
    const struct nr_env dry = { .random = no_random };
    char a[NR_TOKEN_TEXT_MAX], b[NR_TOKEN_TEXT_MAX];
    struct nr_ed25519 key, other;
    struct nr_diag d = { 0 };

    (void)state;
    assert_int_equal(nr_token_create(&env, a, &d), NR_OK);
    assert_string_equal(a, "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8");
    assert_int_equal(nr_token_create(&env, b, &d), NR_OK);
    assert_string_not_equal(a, b);
    assert_int_equal(nr_ed25519_create(&env, &key, &d), NR_OK);
    nr_ed25519_from_seed(key.seed, &other);
    assert_memory_equal(key.pub, other.pub, sizeof(key.pub));
    assert_int_equal(nr_token_create(&dry, a, &d), NR_ESYS);
    assert_int_equal(nr_ed25519_create(&dry, &key, &d), NR_ESYS);
}

static void
base64(void **state)
{
    static const struct {
        const char *text;
        bool ok;
        size_t n;
    } cases[] = {
        { "", true, 0 }, { "Zg", true, 1 }, { "Zg==", true, 1 },
        { "Zm9v", true, 3 }, { "-_8", true, 2 }, { "+/8=", true, 2 },
        { "+_8", false, 0 }, /* two alphabets */
        { "Zh", false, 0 },  /* bits after the end */
        { "Z", false, 0 }, { "Zg===", false, 0 }, { "Zm 9v", false, 0 },
        { "Zm9vZm9vZm9v", false, 0 }, /* longer than room */
    };

    char text[NR_BASE64_MAX(3)];
    uint8_t out[8];
    size_t n;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        bool ok = nr_base64_parse(nr_str_of(cases[i].text), out, sizeof(out),
            &n);

        CHECK_CASE(cases[i].text, ok == cases[i].ok);
        CHECK_CASE(cases[i].text, !ok || n == cases[i].n);
    }
    nr_base64_print(NR_BYTES("\xfb\xff"), text);
    assert_string_equal(text, "+/8=");
    nr_base64url_print(NR_BYTES("\xfb\xff"), text);
    assert_string_equal(text, "-_8");
}

static void
passwords(void **state)
{
    static uint8_t longest[NR_PASSWORD_MAX + 1];
    char hash[NR_PASSWORD_HASH_MAX], again[NR_PASSWORD_HASH_MAX];
    struct nr_diag d = { 0 };

    (void)state;
    assert_int_equal(nr_password_hash(NR_BYTES("noroshi"), hash, &d), NR_OK);
    assert_int_equal(nr_password_hash(NR_BYTES("noroshi"), again, &d), NR_OK);
    assert_string_not_equal(hash, again); /* salted */
    assert_memory_equal(hash, "$argon2id$", 10);
    assert_true(nr_password_verify(hash, NR_BYTES("noroshi")));
    assert_false(nr_password_verify(hash, NR_BYTES("noroshj")));
    assert_false(nr_password_verify("$argon2id$junk", NR_BYTES("noroshi")));
    assert_int_equal(nr_password_hash((struct nr_bytes){ longest,
                                          sizeof(longest) },
                         hash, &d),
        NR_ELIMIT);
    assert_false(nr_password_verify(again,
        (struct nr_bytes){ longest, sizeof(longest) }));
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        NR_TEST(rfc8032),
        NR_TEST(edge_cases),
        NR_TEST(tokens),
        NR_TEST(base64),
        NR_TEST(passwords),
    };

    if (argc != 3 || nr_crypto_init(NULL) != NR_OK)
        return 2;
    rfc_path = argv[1];
    cctv_path = argv[2];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
