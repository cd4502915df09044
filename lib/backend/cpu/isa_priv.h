/* The template of an instruction set: included by isa_*.c with ISA_NAME set to the name of its table. */
#include "backend/cpu/cpu_priv.h"
#include "base/bf16.h"
#include "backend/cpu/vec_priv.h"
#include "backend/cpu/tile_priv.h"
#include "backend/cpu/pack_priv.h"
#include "backend/cpu/elem_priv.h"
#include "backend/cpu/row_priv.h"

const struct cpu_isa ISA_TABLE = {
    .name = ISA_NAME,
    .mr = TILE_MR,
    .tile = tile,
    .fmt16 = FMT16,
    .mr16 = TILE16_MR,
#if VL > 4
    .tile16 = tile16,
#endif
    .convert = convert,
    .pack_cols = pack_cols,
    .pack_rows = pack_rows,
    .transpose = transpose,
    .away = away,
    .map_fwd = {
#define MAP(name, value, derivative) map_fwd_##name,
#include "backend/map.def"
#undef MAP
    },
    .map_bwd = {
#define MAP(name, value, derivative) map_bwd_##name,
#include "backend/map.def"
#undef MAP
    },
    .fill = fill,
    .axpby = axpby,
    .add = add,
    .add_scalar = add_scalar,
    .mul = mul,
    .norm = norm,
    .keep = keep,
    .dropout = dropout,
    .attn_mask = attn_mask,
    .attn_grad = attn_grad,
    .pixels = pixels,
    .adamw = adamw,
    .dot = dot,
    .dots = dots,
    .weigh = weigh,
    .sum = row_sum,
    .max = row_max,
    .exp_sum = exp_sum,
    .col_sum = col_sum,
    .sumsq = sumsq,
    .ln_fwd = ln_fwd,
    .ln_bwd = ln_bwd,
    .xent_grad = xent_grad,
};
