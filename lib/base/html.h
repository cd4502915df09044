/* Text and names of files for HTML and SVG pages. The text is foreign and may be hostile. */
#ifndef CAPT_BASE_HTML_H
#define CAPT_BASE_HTML_H
#include "base/str.h"

/* Appends s as the text of an element or a quoted attribute: & < > " ' become references, control characters and malformed
 * UTF-8 the replacement character, and so do the marks that turn the direction of what follows them. */
void capt_html_text(capt_str *out, const char *s);
/* Appends a relative path as an URL: everything but letters, digits and - . _ ~ / is percent-encoded, a name that could be
 * taken for a scheme begins with "./". */
void capt_html_path(capt_str *out, const char *path);
/* Appends n bytes in base64, padded. */
void capt_html_base64(capt_str *out, const unsigned char *p, size_t n);
#endif
