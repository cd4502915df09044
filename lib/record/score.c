#include "record/score.h"

#define AT(m) offsetof(capt_score, m)
#define SCORE(name, m, doc) {name, CAPT_T_NUM, 0, AT(m), 0, 0, 0, NULL, doc}

static const capt_field fields[] = {
    {"id", CAPT_T_ID, 1, AT(id), 0, 0, 0, NULL, "The image's id, as in the caption record."},
    {"caption", CAPT_T_STR, 0, AT(caption), 0, 10000, 0, NULL, "The sentence that was scored."},
    SCORE("Bleu_1", bleu[0], "BLEU-1 of this sentence, 0 to 1."),
    SCORE("Bleu_2", bleu[1], "BLEU-2 of this sentence, 0 to 1."),
    SCORE("Bleu_3", bleu[2], "BLEU-3 of this sentence, 0 to 1."),
    SCORE("Bleu_4", bleu[3], "BLEU-4 of this sentence, 0 to 1."),
    SCORE("METEOR", meteor, "METEOR 1.5 with the full paraphrase table, 0 to 1."),
    SCORE("METEOR-nopara", meteor_nopara, "METEOR without the paraphrase table, 0 to 1."),
    SCORE("ROUGE_L", rouge, "ROUGE-L, 0 to 1."),
    SCORE("CIDEr", cider, "CIDEr-D, 0 to 10."),
    SCORE("CLIPScore", clip, "CLIPScore."),
    SCORE("RefCLIPScore", ref_clip, "RefCLIPScore."),
    {"trained_on", CAPT_T_BOOL, 0, AT(trained_on), 0, 0, 0, NULL, "Whether the image was among the model's training images."},
    {0}};
const capt_kind capt_kind_score = {"score", "The scores of one image's sentence.", sizeof(capt_score), fields};
