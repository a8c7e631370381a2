/*
 * Inside of the scanner: what its drivers (octet by octet in scan.c, by
 * bitmaps in scan_bits.c) share. A driver finds the places where a token may
 * stand, in ascending order, and calls the function for it; the functions hold
 * every rule, so that drivers cannot differ but by a place they overlook.
 */
#ifndef NR_OBSERVABLE_SCAN_H
#define NR_OBSERVABLE_SCAN_H

#include "observable/observable.h"

enum {
    NR_C_RUN = 1,    /* A-Z a-z 0-9 . - _ */
    NR_C_ALNUM = 2,  /* A-Z a-z 0-9 */
    NR_C_HEX = 4,    /* 0-9 A-F a-f */
    NR_C_URL = 8,    /* nr_url_octet() */
    NR_C_LOCAL = 16, /* as NR_C_RUN, and '+' */
    NR_C_EVENT = 32, /* ':' '@', line feed and octets above 0x7f */
};

extern const uint8_t nr_scan_class[256];

struct nr_scan {
    const uint8_t *p;
    size_t n;
    struct nr_tokens *out;
    uint32_t line;
    unsigned flags; /* NR_SCAN_* */
    /* what the last ones consumed */
    size_t url_end, v6_end, mail_end, idn_end;
};

/* Flags that read a line a second time, when it is complete. */
#define NR_SCAN_BY_LINE (NR_SCAN_FANGS | NR_SCAN_FILES)

/* A line starts at AT. */
void nr_scan_new_line(struct nr_scan *s, size_t at);

/* The maximal run [AT, END). Only a run with a dot that has a letter, digit,
 * '-' or '_' on its left and a letter or digit on its right, or with 32
 * letters and digits in a row, can give a token (NR_SCAN_MORE: any can). */
void nr_scan_run(struct nr_scan *s, size_t at, size_t end);
/* The same without what NR_SCAN_MORE adds (nr_scan_more() does). */
void nr_scan_words(struct nr_scan *s, size_t at, size_t end);

/* The ':' at AT: a URL, unless inside of one; an IPv6 address, unless the
 * address around it was looked at. AT is the first ':' of the digits and
 * colons around it, or any later one (then nothing was put since the first). */
void nr_scan_url(struct nr_scan *s, size_t at);
void nr_scan_ipv6(struct nr_scan *s, size_t at);

/* The '@' at AT. */
void nr_scan_email(struct nr_scan *s, size_t at);

/* The octet above 0x7f at AT, with NR_SCAN_IDN: the name in U-labels around
 * it, unless it was looked at. */
void nr_scan_idn(struct nr_scan *s, size_t at);

/* With NR_SCAN_BY_LINE: the line [AT, END) is complete. */
void nr_scan_line(struct nr_scan *s, size_t at, size_t end);

/* Octet by octet over [0, s->n); what nr_scan() does with a block. */
void nr_scan_octets(struct nr_scan *s);

/* What an escape right before the run at AT ate of it: 2 of "%HH", 1 of "\n",
 * "\r" or "\t"; 0: nothing. refmatch.py: readings(). */
size_t nr_scan_eaten(const struct nr_scan *s, size_t at, size_t end);

/* The longest dotted suffix of [AT, END) of P that can be part of a name; END
 * when there is none. */
size_t nr_scan_name_start(const uint8_t *p, size_t at, size_t end);

#endif
