/* Sealed files, inside the room. Thread-safety: a view may be used by many
 * threads, a writer by one. */
#ifndef NR_ARCHIVE_SEAL_IN_H
#define NR_ARCHIVE_SEAL_IN_H

#include "archive/seal.h"

#define SEAL_FILE    "sealed" /* of the archive */
#define SEAL_MAGIC   "\x89NRSEAL\n"
#define SEAL_VERSION 1u
#define SEAL_HEADER  ((size_t)64)
#define SEAL_PAGE    ((size_t)8192) /* octets of plain text */
#define SEAL_TAG     ((size_t)16)   /* as NR_AEAD_TAG_LEN */
#define SEAL_ID      ((size_t)16)

/* Is the archive in DIR sealed, with what key? NR_EFORMAT, NR_ESYS. */
enum nr_err seal_marker(const char *dir, bool *sealed,
    uint8_t id[NR_ARCHIVE_KEY_ID_LEN], struct nr_diag *d) NR_MUST_USE;

/* --- reading --- */

struct seal_view;

bool seal_is(struct nr_bytes file);
/* FILE, which outlives the view. MENDS: for repair, whatever opens of a file
 * that was cut or whose header is damaged. NR_EDAMAGED, NR_EFORMAT (another
 * version), NR_ENOMEM. */
enum nr_err seal_view_open(const struct nr_archive_key *key,
    struct nr_bytes file, const char *name, bool mends, struct seal_view **out,
    struct nr_diag *d) NR_MUST_USE;
void seal_view_close(struct seal_view *v);
/* The plain text: octets are there once they were needed. */
struct nr_bytes seal_plain(const struct seal_view *v);
/* Decrypt what holds [AT, AT + N), which lies inside. NR_EDAMAGED. */
enum nr_err seal_need(struct seal_view *v, uint64_t at, uint64_t n,
    struct nr_diag *d) NR_MUST_USE;
/* The same into OUT, of N octets; nothing is kept. */
enum nr_err seal_read(const struct seal_view *v, uint64_t at, uint64_t n,
    uint8_t *out, struct nr_diag *d) NR_MUST_USE;

/* Decrypt page PAGE alone: false, and zeros, if it does not open. For repair. */
bool seal_page(struct seal_view *v, uint64_t page);
uint64_t seal_pages(const struct seal_view *v);

/* --- writing --- */

struct seal_writer;

/* KEY NULL: the writer writes plain text. NR_ENOMEM, NR_ESYS. */
enum nr_err seal_writer_open(const struct nr_archive_key *key, int fd,
    struct seal_writer **out, struct nr_diag *d) NR_MUST_USE;
enum nr_err seal_writer_put(struct seal_writer *w, struct nr_bytes in,
    struct nr_diag *d) NR_MUST_USE;
/* The last page. */
enum nr_err seal_writer_end(struct seal_writer *w,
    struct nr_diag *d) NR_MUST_USE;
void seal_writer_close(struct seal_writer *w);

#endif
