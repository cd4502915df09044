#!/usr/bin/env python3
"""Golden states of captioners: tiny random weights, log-probabilities, losses and gradients in float64 by the public implementations.

  make_models.py NAME CHECKOUT [FOLDER]   writes NAME.safetensors into FOLDER (here by default)
  NAME                       CHECKOUT, a copy of the public repository
  show-tell                  ruotianluo/self-critical.pytorch at 4c48a33 (FCModel)
  updown                     the same (UpDownModel)
  transformer                the same (TransformerModel)
  attend-tell                sgrvinod/a-PyTorch-Tutorial-to-Image-Captioning at cc9c7e2 (DecoderWithAttention)
  attend-tell-xu             kelvinxu/arctic-captions at f4565bf: capgen.py is for Theano, which is no more, so that its equations stand below in torch; what it
                             reads of the checkout is the published configuration (evaluate_coco.py), to be sure that they are those
  updown-official            peteanderson80/Up-Down-Captioner at 0b4e8e5: a Caffe network, written below in torch; its checkout is read to be sure of it
  m2                         aimagelab/meshed-memory-transformer at 239100b (MemoryAugmentedEncoder, MeshedDecoder)

Made with torch 2.15.0, numpy and safetensors. The file names weights as the toolkit does: matrices that it keeps as one are joined, those it keeps apart are cut,
pairs of biases are summed. Two images of S feature rows, the second with fewer of its own where the model has masks; three captions, the last two of the second image.
  metadata "config"     the captioner's configuration
  w.NAME                weights, F16 (each a half-precision number)
  in.*                  features, valid rows, tokens, targets; targets of -1 carry no loss
  out.logp              (R,T,V) log-probabilities, F64
  out.loss              mean cross-entropy of the words, plus the attention's regularisation for attend-tell, F64
  grad.NAME             gradient of that loss, F32
  alt.*                 log-probabilities of the same weights in a model that differs in one constant: what must not be taken for it
"""
import json
import os
import sys
from types import SimpleNamespace

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from safetensors.numpy import save_file

V, S, FEAT, T, D, HEADS, FF, MEMORY, E, A = 19, 4, 6, 5, 8, 2, 12, 3, 6, 5
IMAGE = [0, 1, 1]
TOKENS = [[1, 4, 5, 6, 7], [1, 18, 9, 9, 12], [1, 13, 17, 5, 5]]
TARGETS = [[4, 5, 6, 7, 2], [18, 9, 9, 12, 10], [13, 17, 2, -1, -1]]
N_WORDS = sum(t >= 0 for row in TARGETS for t in row)


def features():
    return torch.sin(0.7 * torch.arange(2 * S * FEAT, dtype=torch.float64) + 0.3).reshape(2, S, FEAT).half().double()


def randomise(module):
    """Each value a half-precision number."""
    gen = torch.Generator().manual_seed(11)
    for name, p in sorted(module.named_parameters()):
        if not p.requires_grad:
            continue
        r = torch.randn(p.shape, generator=gen)
        gain = p.dim() == 1 and ("norm.weight" in name or "a_2" in name)
        p.data = (r * (0.9 / p.shape[-1] ** 0.5) if p.dim() > 1 else 0.2 * r + (1.0 if gain else 0.0)).half().double()


def cross_entropy(logp):
    return F.nll_loss(logp.reshape(-1, V), torch.tensor(TARGETS).flatten(), ignore_index=-1)


def masked(x, lengths):
    """Rows behind an image's own are zero in the public data."""
    keep = torch.arange(S)[None] < torch.tensor(lengths)[:, None]
    return x * keep[..., None], keep


class Named:
    """Weights and gradients under the toolkit's names: name -> function of (tensor of a parameter)."""

    def __init__(self, module):
        self.p = dict(module.named_parameters())
        self.rows = {}

    def add(self, name, *parts, dim=0, total=False):
        """The toolkit's tensor is the parts side by side along dim, or (total) their sum. A part: a parameter's name or (name, slice of its columns)."""
        self.rows[name] = (parts, dim, total)

    def linear(self, name, *public, bias=True):
        self.add(name + ".weight", *[q + ".weight" for q in public])
        if bias:
            self.add(name + ".bias", *[q + ".bias" for q in public])

    def _get(self, part, grad):
        name, cut = part if isinstance(part, tuple) else (part, None)
        p = self.p[name]
        x = (p.grad if grad else p).detach()
        return x if cut is None else x[:, cut]

    def tensors(self, grad):
        out = {}
        for name, (parts, dim, total) in self.rows.items():
            v = [self._get(q, grad) for q in parts]
            x = v[0] if len(v) == 1 or (total and grad) else sum(v) if total else torch.cat(v, dim)
            out[name] = x.squeeze(0) if name.endswith(".w") or ".memory." in name else x
        return out


def ruo(checkout, kind, **more):
    sys.path.insert(0, checkout)
    import captioning.models as zoo
    opt = SimpleNamespace(vocab_size=V - 1, input_encoding_size=D if kind == "transformer" else E, rnn_type="lstm", rnn_size=FF if kind == "transformer" else D, num_layers=2 if kind != "fc" else 1,
                          drop_prob_lm=0.0, seq_length=T, max_length=T, fc_feat_size=FEAT, att_feat_size=FEAT, att_hid_size=A, vocab={}, caption_model=kind, num_att_heads=HEADS, dropout=0.0, **more)
    cls = {"fc": zoo.FCModel, "updown": zoo.UpDownModel, "transformer": zoo.TransformerModel}[kind]
    model = cls(opt).double().eval()
    randomise(model)
    return model


def config(kind, **more):
    return dict(type=kind, feature="regions", feature_dim=FEAT, feature_rows=S, words=T, dropout=0.0, **more)


def show_tell(checkout):
    model = ruo(checkout, "fc")
    x = features().mean(1)
    seq = torch.tensor(TOKENS)

    def run():
        return model(x[IMAGE], None, torch.cat([seq, seq.new_zeros(3, 1)], 1)[:, :T])
    n = Named(model)
    n.linear("image", "img_embed")
    n.add("words.weight", "embed.weight")
    n.add("lstm.x.weight", "core.i2h.weight")
    n.add("lstm.x.bias", "core.i2h.bias", "core.h2h.bias", total=True)
    n.add("lstm.h.weight", "core.h2h.weight")
    n.linear("head", "logit")
    real = torch.max

    def alternatives():
        torch.max = lambda a, b: torch.tanh(real(a, b))
        yield "tanh_candidate", run()
        torch.max = torch.min
        yield "smaller_candidate", run()
        torch.max = real
    return config("show-tell", width=D, embed=E, compat="ruo"), run, n, alternatives, [S, S], None


def updown(checkout):
    model = ruo(checkout, "updown")
    lengths = [S, S - 2]
    x, keep = masked(features(), lengths)
    mean = x.sum(1) / torch.tensor(lengths)[:, None]

    def run(mask=keep):
        return model(mean[IMAGE], x[IMAGE], torch.tensor(TOKENS), mask[IMAGE].long())
    n = Named(model)
    n.add("words.weight", "embed.0.weight")
    n.linear("region", "att_embed.0")
    n.linear("mean", "fc_embed.0")
    w = "core.att_lstm."
    n.add("attention_lstm.mean.weight", (w + "weight_ih", slice(D, 2 * D)))
    n.add("attention_lstm.x.weight", (w + "weight_ih", slice(2 * D, None)))
    n.add("attention_lstm.x.bias", w + "bias_ih", w + "bias_hh", total=True)
    n.add("attention_lstm.h.weight", (w + "weight_ih", slice(0, D)), w + "weight_hh", dim=1)
    w = "core.lang_lstm."
    n.add("language_lstm.x.weight", w + "weight_ih")
    n.add("language_lstm.x.bias", w + "bias_ih", w + "bias_hh", total=True)
    n.add("language_lstm.h.weight", w + "weight_hh")
    n.linear("attention.v", "ctx2att")
    n.linear("attention.h", "core.attention.h2att")
    n.add("attention.w", "core.attention.alpha_net.weight")
    n.linear("head", "logit")
    real = torch.tanh

    def alternatives():
        import captioning.models.AttModel as module
        att = model.core.attention.forward
        torch.tanh = torch.relu
        yield "relu_attention", run()
        torch.tanh = real
        yield "no_masks", run(torch.ones_like(keep))
        assert module and att
    return config("updown", width=D, embed=E, attention=A, compat="ruo"), run, n, alternatives, lengths, None


def transformer(checkout):
    model = ruo(checkout, "transformer")
    lengths = [S, S - 2]
    x, keep = masked(features(), lengths)

    def run():
        return model(x.mean(1)[IMAGE], x[IMAGE], torch.tensor(TOKENS), keep[IMAGE].long())
    n = Named(model)
    n.linear("image", "att_embed.0")
    n.add("words.weight", "model.tgt_embed.0.lut.weight")
    for side, public in (("enc", "model.encoder"), ("dec", "model.decoder")):
        for i in range(2):
            a, b = "%s.%d." % (side, i), "%s.layers.%d." % (public, i)
            n.linear(a + "self.qkv", *[b + "self_attn.linears.%d" % k for k in range(3)])
            n.linear(a + "self.out", b + "self_attn.linears.3")
            norms = ["norm1", "norm3"]
            if side == "dec":
                norms = ["norm1", "norm2", "norm3"]
                n.linear(a + "cross.q", b + "src_attn.linears.0")
                n.linear(a + "cross.kv", b + "src_attn.linears.1", b + "src_attn.linears.2")
                n.linear(a + "cross.out", b + "src_attn.linears.3")
            for k, norm in enumerate(norms):
                n.add(a + norm + ".weight", b + "sublayer.%d.norm.a_2" % k)
                n.add(a + norm + ".bias", b + "sublayer.%d.norm.b_2" % k)
            n.linear(a + "ffn.in", b + "feed_forward.w_1")
            n.linear(a + "ffn.out", b + "feed_forward.w_2")
        n.add(side + ".norm.weight", public + ".norm.a_2")
        n.add(side + ".norm.bias", public + ".norm.b_2")
    n.linear("head", "model.generator.proj")

    def alternatives():
        norm = type(model.model.encoder.norm)
        real = norm.forward
        norm.forward = lambda self, v: F.layer_norm(v, v.shape[-1:], self.a_2, self.b_2)
        yield "biased_norm", run()
        norm.forward = real
        model.model.tgt_embed[0].d_model = 1
        yield "embedding_unscaled", run()
        model.model.tgt_embed[0].d_model = D
        for m in model.modules():
            if hasattr(m, "d_k"):
                m.h, m.d_k = 4, D // 4
        yield "heads_4", run()
        for m in model.modules():
            if hasattr(m, "d_k"):
                m.h, m.d_k = HEADS, D // HEADS
    return config("transformer", width=D, layers=2, heads=HEADS, ff=FF, feature_dropout=0.0, compat="ruo"), run, n, alternatives, lengths, None


def attend_tell(checkout):
    sys.path.insert(0, checkout)
    import models as public
    model = public.DecoderWithAttention(A, E, D, V, encoder_dim=FEAT, dropout=0.0).double().eval()
    randomise(model)
    x = features()
    lengths = torch.tensor([[sum(t >= 0 for t in row) + 1] for row in TARGETS])
    kept = {}

    def run():
        tokens = torch.cat([torch.tensor(TOKENS), torch.zeros(3, 1, dtype=torch.long)], 1)
        z, _, steps, alphas, order = model(x[IMAGE].reshape(3, 2, 2, FEAT), tokens, lengths)
        back = torch.argsort(order)
        kept["alphas"] = alphas
        return torch.log_softmax(z[back].double(), -1)

    def regularisation():
        return ((1.0 - kept["alphas"].double().sum(dim=1)) ** 2).mean()
    n = Named(model)
    n.add("words.weight", "embedding.weight")
    n.linear("init_h", "init_h")
    n.linear("init_c", "init_c")
    n.linear("attention.v", "attention.encoder_att")
    n.linear("attention.h", "attention.decoder_att")
    n.add("attention.w", "attention.full_att.weight")
    n.linear("gate", "f_beta")
    w = "decode_step."
    n.add("lstm.x.weight", (w + "weight_ih", slice(0, E)))
    n.add("lstm.x.bias", w + "bias_ih", w + "bias_hh", total=True)
    n.add("lstm.h.weight", (w + "weight_ih", slice(E, None)), w + "weight_hh", dim=1)
    n.linear("head", "fc")

    def alternatives():
        model.attention.relu = nn.Tanh()
        yield "tanh_attention", run()
        model.attention.relu = nn.ReLU()
        model.sigmoid = nn.Identity()
        yield "gate_without_sigmoid", run()
        model.sigmoid = nn.Sigmoid()
    return config("attend-tell", width=D, embed=E, attention=A, coverage=1.0), run, n, alternatives, [S, S], regularisation


def m2(checkout):
    sys.path.insert(0, checkout)
    from models.transformer.attention import ScaledDotProductAttentionMemory
    from models.transformer.decoders import MeshedDecoder
    from models.transformer.encoders import MemoryAugmentedEncoder
    layer = dict(d_model=D, d_k=D // HEADS, d_v=D // HEADS, h=HEADS, d_ff=FF, dropout=0.0)
    both = nn.Module()
    both.enc = MemoryAugmentedEncoder(3, 0, d_in=FEAT, attention_module=ScaledDotProductAttentionMemory, attention_module_kwargs={"m": MEMORY}, **layer)
    both.dec = MeshedDecoder(V, 54, 3, 0, **layer)
    both.double().eval()
    randomise(both)
    lengths = [S, S - 2]
    x, keep = masked(features(), lengths)

    def run(tokens=None):
        levels, mask = both.enc(x[IMAGE])
        return both.dec(torch.tensor(TOKENS), levels, mask)
    n = Named(both)
    n.linear("image", "enc.fc")
    n.linear("image.norm", "enc.layer_norm")
    n.add("words.weight", "dec.word_emb.weight")

    def attention(a, b, qkv):
        if qkv:
            n.linear(a + ".qkv", *[b + ".fc_" + k for k in "qkv"])
        else:
            n.linear(a + ".q", b + ".fc_q")
            n.linear(a + ".kv", b + ".fc_k", b + ".fc_v")
        n.linear(a + ".out", b + ".fc_o")
    for i in range(3):
        a, b = "enc.%d." % i, "enc.layers.%d." % i
        attention(a + "self", b + "mhatt.attention", 0)
        n.add(a + "memory.k", b + "mhatt.attention.m_k")
        n.add(a + "memory.v", b + "mhatt.attention.m_v")
        n.linear(a + "norm1", b + "mhatt.layer_norm")
        n.linear(a + "ffn.in", b + "pwff.fc1")
        n.linear(a + "ffn.out", b + "pwff.fc2")
        n.linear(a + "norm2", b + "pwff.layer_norm")
    for i in range(3):
        a, b = "dec.%d." % i, "dec.layers.%d." % i
        attention(a + "self", b + "self_att.attention", 1)
        n.linear(a + "norm1", b + "self_att.layer_norm")
        attention(a + "cross", b + "enc_att.attention", 0)
        n.linear(a + "norm2", b + "enc_att.layer_norm")
        for k in range(3):
            n.linear(a + "gate.%d" % k, b + "fc_alpha%d" % (k + 1))
        n.linear(a + "ffn.in", b + "pwff.fc1")
        n.linear(a + "ffn.out", b + "pwff.fc2")
        n.linear(a + "norm3", b + "pwff.layer_norm")
    n.add("head.weight", "dec.fc.weight")

    def alternatives():
        table = both.dec.pos_emb.weight.data.clone()
        both.dec.pos_emb.weight.data = torch.roll(table, 1, 0)
        yield "positions_from_0", run()
        both.dec.pos_emb.weight.data = table
        for layer_ in both.enc.layers:
            layer_.mhatt.attention.m = MEMORY
            layer_.mhatt.attention.m_v.data *= 2
        yield "memory_doubled", run()
        for layer_ in both.enc.layers:
            layer_.mhatt.attention.m_v.data /= 2
    return config("m2", width=D, layers=3, heads=HEADS, ff=FF, memory=MEMORY, compat="m2"), run, n, alternatives, lengths, None


class Xu(nn.Module):
    """capgen.py as evaluate_coco.py sets it up: n-layers-att 2, n-layers-init 2, n-layers-out 1, prev2out, ctx2out, selector. Weights are (out, in), the other way round.
    b_att and c_tt, which other biases make up for, are zero there and left out here; word 1 stands for the beginning, where capgen.py has zeros."""

    def __init__(self):
        super().__init__()
        lin = nn.Linear
        self.Wemb = nn.Embedding(V, E)
        self.ff_init_1, self.ff_state, self.ff_memory = lin(FEAT, FEAT), lin(FEAT, D), lin(FEAT, D)
        self.W, self.U, self.Wc = lin(E, 4 * D), lin(D, 4 * D, bias=False), lin(FEAT, 4 * D, bias=False) # gates i f o c
        self.Wc_att, self.W_att_1, self.Wd_att, self.U_att = lin(FEAT, A, bias=False), lin(A, A), lin(D, A, bias=False), lin(A, 1, bias=False)
        self.W_sel = lin(D, 1)
        self.ff_logit_lstm, self.ff_logit_ctx, self.ff_logit = lin(D, E), lin(FEAT, E, bias=False), lin(E, V)
        self.activation, self.scalar, self.deep = torch.tanh, True, True

    def forward(self, ctx, tokens):
        mean = torch.relu(self.ff_init_1(ctx.mean(1)))
        h, cell = torch.tanh(self.ff_state(mean)), torch.tanh(self.ff_memory(mean))
        pctx = torch.tanh(self.W_att_1(self.Wc_att(ctx)))
        logits, alphas = [], []
        for t in range(tokens.shape[1]):
            emb = self.Wemb(tokens[:, t])
            alpha = torch.softmax(self.U_att(self.activation(pctx + self.Wd_att(h)[:, None])).squeeze(-1), 1)
            z = (alpha[..., None] * ctx).sum(1)
            z = torch.sigmoid(self.W_sel(h)) * z if self.scalar else z
            i, f, o, c = (self.U(h) + self.W(emb) + self.Wc(z)).chunk(4, 1)
            cell = torch.sigmoid(f) * cell + torch.sigmoid(i) * torch.tanh(c)
            h = torch.sigmoid(o) * torch.tanh(cell)
            out = self.ff_logit_lstm(h) + emb + self.ff_logit_ctx(z) if self.deep else self.ff_logit_lstm(h)
            logits.append(self.ff_logit(torch.tanh(out)))
            alphas.append(alpha)
        return torch.stack(logits, 1), torch.stack(alphas, 1)


def attend_tell_xu(checkout):
    with open(os.path.join(checkout, "evaluate_coco.py")) as f:
        published = f.read()
    for option in ('"n-layers-att": 2', '"n-layers-out": 1', '"n-layers-lstm": 1', '"n-layers-init": 2', '"prev2out": True', '"ctx2out": True', '"selector": True', '"use-dropout-lstm": False'):
        assert option in published, option
    model = Xu().double().eval()
    randomise(model)
    x = features()
    own = (torch.tensor(TARGETS) >= 0).double() # a batch's captions are of one length there, so that no step lies behind a caption's end
    kept = {}

    def run():
        z, kept["alphas"] = model(x[IMAGE], torch.tensor(TOKENS))
        return torch.log_softmax(z, -1)

    def regularisation():
        return ((1.0 - (kept["alphas"] * own[..., None]).sum(1)) ** 2).sum(1).mean()
    n = Named(model)
    rows = torch.cat([torch.arange(k * D, (k + 1) * D) for k in (0, 1, 3, 2)]) # the toolkit's gates are i f c o
    n.add("words.weight", "Wemb.weight")
    n.linear("init", "ff_init_1")
    n.linear("init_h", "ff_state")
    n.linear("init_c", "ff_memory")
    n.linear("attention.v", "Wc_att", bias=False)
    n.linear("attention.deep", "W_att_1")
    n.linear("attention.h", "Wd_att", bias=False)
    n.add("attention.w", "U_att.weight")
    n.linear("gate", "W_sel")
    n.linear("lstm.x", "W")
    n.linear("lstm.h", "U", bias=False)
    n.linear("lstm.z", "Wc", bias=False)
    n.linear("out.h", "ff_logit_lstm")
    n.linear("out.z", "ff_logit_ctx", bias=False)
    n.linear("head", "ff_logit")
    plain = n.tensors

    def tensors(grad):
        return {k: v[rows] if k.startswith("lstm.") else v for k, v in plain(grad).items()}
    n.tensors = tensors

    def alternatives():
        model.activation = torch.relu
        yield "relu_attention", run()
        model.activation, model.scalar = torch.tanh, False
        yield "no_gate", run()
        model.scalar, model.deep = True, False
        yield "words_from_h_alone", run()
        model.deep = True
    # capgen.py adds the regularisation up over the rows, the toolkit takes their mean: hence a coverage of S
    return config("attend-tell", width=D, embed=E, attention=A, coverage=float(S), compat="xu"), run, n, alternatives, [S, S], regularisation


class UpDownCaffe(nn.Module):
    """experiments/caption_lstm/net.prototxt. Caffe's LSTMNode joins what it reads in the order of concat0 and concat1; weights are cut by that."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(V, E)
        self.lstm0, self.lstm1 = nn.Linear(E + FEAT + 2 * D, 4 * D), nn.Linear(D + FEAT + D, 4 * D) # gates i f g o
        self.fc, self.hidden_att, self.predict_att = nn.Linear(FEAT, A, bias=False), nn.Linear(D, A, bias=False), nn.Linear(A, 1, bias=False)
        self.predict = nn.Linear(D, V)
        self.activation = torch.tanh

    @staticmethod
    def cell(gates, c):
        i, f, g, o = gates.chunk(4, 1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c

    def forward(self, x, keep, context, tokens):
        h0 = c0 = h1 = c1 = torch.zeros(len(x), D, dtype=x.dtype)
        fc, out = self.fc(x), []
        for t in range(tokens.shape[1]):
            h0, c0 = self.cell(self.lstm0(torch.cat([self.embedding(tokens[:, t]), context, h1, h0], 1)), c0)
            z = self.predict_att(self.activation(fc + self.hidden_att(h0)[:, None])).squeeze(-1).masked_fill(~keep, -torch.inf)
            attended = (torch.softmax(z, 1)[..., None] * x).sum(1)
            h1, c1 = self.cell(self.lstm1(torch.cat([h0, attended, h1], 1)), c1)
            out.append(self.predict(h1))
        return torch.log_softmax(torch.stack(out, 1), -1)


def updown_official(checkout):
    with open(os.path.join(checkout, "experiments/caption_lstm/net.prototxt")) as f:
        net = f.read()
    assert '"ReLU"' not in net and '"Dropout"' not in net and net.count('"TanH"') == 20
    words = net.split()
    first = words[words.index('"concat0_t0"'):]
    assert [w for w, before in zip(first[1:20], first) if before == "bottom:"][:4] == ['"embedding"', '"context"', '"lstm1_hidden_prev"', '"lstm0_hidden_prev"']
    second = words[words.index('"concat1_t0"'):]
    assert [w for w, before in zip(second[1:20], second) if before == "bottom:"][:3] == ['"lstm0_hidden0"', '"fc8_0"', '"lstm1_hidden_prev"']
    model = UpDownCaffe().double().eval()
    randomise(model)
    lengths = [S, S - 2]
    x, keep = masked(features(), lengths)
    mean = x.sum(1) / torch.tensor(lengths)[:, None]

    def run(mask=keep):
        return model(x[IMAGE], mask[IMAGE], mean[IMAGE], torch.tensor(TOKENS))
    n = Named(model)
    n.add("words.weight", "embedding.weight")
    at = E + FEAT
    n.add("attention_lstm.x.weight", ("lstm0.weight", slice(0, E)))
    n.add("attention_lstm.x.bias", "lstm0.bias")
    n.add("attention_lstm.mean.weight", ("lstm0.weight", slice(E, at)))
    n.add("attention_lstm.h.weight", ("lstm0.weight", slice(at, None)))
    n.add("language_lstm.x.weight", ("lstm1.weight", slice(D, D + FEAT)), ("lstm1.weight", slice(0, D)), dim=1)
    n.add("language_lstm.x.bias", "lstm1.bias")
    n.add("language_lstm.h.weight", ("lstm1.weight", slice(D + FEAT, None)))
    n.linear("attention.v", "fc", bias=False)
    n.linear("attention.h", "hidden_att", bias=False)
    n.add("attention.w", "predict_att.weight")
    n.linear("head", "predict")

    def alternatives():
        model.activation = torch.relu
        yield "relu_attention", run()
        model.activation = torch.tanh
        yield "no_masks", run(torch.ones_like(keep))
    return config("updown", width=D, embed=E, attention=A, compat="official"), run, n, alternatives, lengths, None


def main():
    name, checkout = sys.argv[1], os.path.abspath(sys.argv[2])
    folder = sys.argv[3] if len(sys.argv) > 3 else os.path.dirname(os.path.abspath(__file__))
    torch.manual_seed(0)
    build = {"show-tell": show_tell, "updown": updown, "transformer": transformer, "attend-tell": attend_tell, "attend-tell-xu": attend_tell_xu, "updown-official": updown_official, "m2": m2}[name]
    conf, run, named, alternatives, lengths, extra = build(checkout)
    logp = run()
    loss = cross_entropy(logp) + (extra() if extra else 0)
    loss.backward()
    keep = torch.tensor(TARGETS) >= 0 # positions behind a caption's end differ between implementations and matter to none
    out = {"in.feat": features().numpy().astype(np.float16), "in.len": np.array(lengths, np.int32), "in.tokens": np.array(TOKENS, np.int32), "in.targets": np.array(TARGETS, np.int32)}
    out["out.logp"] = (logp.detach() * keep[..., None]).numpy().astype(np.float64)
    out["out.loss"] = np.array([loss.item()])
    out.update({"w." + k: v.numpy().astype(np.float16) if "bias" not in k else v.numpy().astype(np.float32) for k, v in named.tensors(False).items()})
    out.update({"grad." + k: v.numpy().astype(np.float32) for k, v in named.tensors(True).items()})
    with torch.no_grad():
        for alt, z in alternatives():
            out["alt." + alt] = (z * keep[..., None]).numpy().astype(np.float32)
    out = {k: np.ascontiguousarray(v) for k, v in out.items()}
    path = os.path.join(folder, name + ".safetensors")
    save_file(out, path, metadata={"config": json.dumps(conf)})
    print(path, os.path.getsize(path), loss.item())


main()
