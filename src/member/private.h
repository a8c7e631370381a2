/* What the files of this room share; nobody else includes it. */
#ifndef NR_MEMBER_PRIVATE_H
#define NR_MEMBER_PRIVATE_H

#include "base/date.h"
#include "base/hash.h"
#include "member/member.h"
#include "json/json.h"

/* Octets of the small files of HOME/hub and HOME/run. */
#define NR_SMALL_FILE   ((size_t)1 << 20)
#define NR_SMALL_MEMORY ((size_t)8 << 20)
/* Of "share.COLLECTION" with NUL; a TAXII collection id is a UUID. */
#define NR_CONFIG_KEY_MAX ((size_t)128)
#define NR_MEMORY_MIN_MB  8 /* as NR_ARCHIVE_MEMORY_MIN */
#define NR_MEMORY_MAX_MB  65536
#define NR_KEEP_DAYS_MAX  36500      /* a hundred years */
#define NR_KEEP_MB_MAX    1000000000 /* a petabyte */

struct nr_ed25519;

/* S into TO (SIZE octets with NUL), cut where it does not fit. */
static inline void
nr_copy_cut(char *to, size_t size, struct nr_str s)
{
    size_t n = s.n < size ? s.n : size - 1;

    if (n > 0)
        memcpy(to, s.p, n);
    to[n] = 0;
}

/* Slots for the settings of a text of LINES lines. */
static inline size_t
nr_config_slots(size_t lines)
{
    return lines < NR_CONFIG_LINES_MAX ? lines + 1 : NR_CONFIG_LINES_MAX + 1;
}

/* The key pair of HOME/identity.key. NR_EDAMAGED, NR_ENOTFOUND, NR_ESYS. */
enum nr_err nr_identity_read(const char *dir, struct nr_ed25519 *out,
    struct nr_diag *d) NR_MUST_USE;

/* As snprintf, where cutting a text short is fine: messages. */
void nr_text_cut(char *to, size_t size, const char *fmt, ...) NR_PRINTF(3, 4);

/* S as a NUL-terminated arena string; NULL: no memory. */
char *nr_arena_text(struct nr_arena *a, struct nr_str s);

#endif
