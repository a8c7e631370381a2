/* What an HTML text holds beside the text that is shown. Private. */
#ifndef NR_EXTRACT_HTML_H
#define NR_EXTRACT_HTML_H

#include "base/buf.h"
#include "base/str.h"

/*
 * Append to OUT, each on a line of its own, the values of attributes with
 * their character references resolved, the comments, and the text of <script>
 * and <style> elements, of HTML in any ASCII-compatible charset. After the
 * tokenizer of the HTML standard (WHATWG, section 13.2.5), loosely: every
 * octet string is HTML to it, what never ends reaches to the end. Linear.
 */
void nr_html_hidden(struct nr_bytes html, struct nr_buf *out);

#endif
