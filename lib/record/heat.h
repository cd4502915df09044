/* Attention of hypothesis records as inline SVG for HTML pages: no script, no colours of its own but the text's and a grey that shows on dark pictures and on bright ones. */
#ifndef CAPT_RECORD_HEAT_H
#define CAPT_RECORD_HEAT_H
#include "base/str.h"
#include "record/caption.h"

/* What the feature rows of a record's attention are: cells of a square grid over the middle square of the picture or over all of it, boxes in it, or no known place. */
typedef enum capt_heat_on { CAPT_HEAT_NONE, CAPT_HEAT_CROP, CAPT_HEAT_PICTURE, CAPT_HEAT_BOXES, CAPT_HEAT_ROWS } capt_heat_on;
/* CAPT_HEAT_NONE: h has no attention, or its numbers are not attention_rows a token. */
capt_heat_on capt_heat_of(const capt_hyp *h);
/* Token t as a reader knows it: without a subword vocabulary's marks. */
void capt_heat_word(capt_str *out, const char *token);
/* The weights of token t. Over a grid a square that covers cells with grey, the less a cell was attended to the more. Over boxes a square as large as the picture, all but the
 * strongest box covered, and the boxes' outlines, the fainter the less each was attended to. Else a bar a row, the strongest the longest. */
void capt_heat_svg(capt_str *out, const capt_hyp *h, int t);
#endif
