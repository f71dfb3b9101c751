"""The attention classifier: the equations of a Transformer encoder, top-down.

One text in, one logit out; the probability that the text is positive is the logit's sigmoid. The equations are
those of "Attention Is All You Need" (Vaswani et al. 2017), post-norm as there:

    emb(w)      = W_e one_hot(w)
    att(Q,K,V)  = softmax(Q K^T / sqrt(d_k)) V
    h'          = LN(h^(l) + att(h^(l), h^(l), h^(l)))
    h^(l+1)     = LN(h' + FFN(h'))

Letters in shape comments: B texts, T tokens (padded), D = d_model, H heads of d_k = D / H, F = d_ff.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class ModelArgs:
    """The size of a model.

    Attributes:
        vocab_size: token ids run from 0 to vocab_size - 1; 0 is padding.
        max_tokens: the longest text in tokens.
        d_model: width of a token's vector.
        n_heads: attention heads; divides d_model.
        n_layers: blocks.
        d_ff: width inside the feed-forward part.
        dropout: share of values zeroed in training.
    """

    vocab_size: int = 10_000
    max_tokens: int = 1000
    d_model: int = 512
    n_heads: int = 2
    n_layers: int = 2
    d_ff: int = 2048
    dropout: float = 0.3

    def __post_init__(self) -> None:
        if self.d_model % self.n_heads or self.d_model % 2:
            raise ValueError(f"d_model {self.d_model} must be even and a multiple of n_heads {self.n_heads}")


class Classifier(nn.Module):
    """Embedding, blocks, masked mean, logit."""

    positions: Tensor

    def __init__(self, args: ModelArgs) -> None:
        super().__init__()
        self.args = args
        self.embedding = nn.Embedding(args.vocab_size, args.d_model, padding_idx=0)
        # Computed, not learned, so it is no part of the saved weights.
        self.register_buffer("positions", sinusoids(args.max_tokens, args.d_model), persistent=False)
        self.dropout = nn.Dropout(args.dropout)
        self.blocks = nn.ModuleList(Block(args) for _ in range(args.n_layers))
        self.head = nn.Linear(args.d_model, 1)
        self.apply(_init_weights)

    def forward(self, ids: Tensor) -> Tensor:
        """Map ids [B, T] (int64, 0 = padding) to logits [B]."""
        keep = ids != 0  # [B, T]
        # emb(w) = W_e one_hot(w): a row of W_e, looked up. sqrt(D) gives it the scale of the positions.
        h = self.embedding(ids) * math.sqrt(self.args.d_model) + self.positions[: ids.shape[1]]  # [B, T, D]
        h = self.dropout(h)
        for block in self.blocks:
            h = block(h, keep)  # h^(l+1) from h^(l)
        logit: Tensor = self.head(masked_mean(h, keep))  # [B, 1]
        return logit.squeeze(1)


class Block(nn.Module):
    """One layer: attention, then the feed-forward part, each added to its input and normalised after."""

    def __init__(self, args: ModelArgs) -> None:
        super().__init__()
        self.attention = SelfAttention(args)
        self.attention_norm = nn.LayerNorm(args.d_model, eps=1e-6)
        self.feed_forward = FeedForward(args)
        self.feed_forward_norm = nn.LayerNorm(args.d_model, eps=1e-6)
        self.dropout = nn.Dropout(args.dropout)

    def forward(self, h: Tensor, keep: Tensor) -> Tensor:
        """Map h^(l) [B, T, D] to h^(l+1) [B, T, D]; `keep` [B, T] is false at padding."""
        h = self.attention_norm(h + self.dropout(self.attention(h, keep)))
        out: Tensor = self.feed_forward_norm(h + self.dropout(self.feed_forward(h)))
        return out


class SelfAttention(nn.Module):
    """Every token looks at every token of its text, through H heads."""

    def __init__(self, args: ModelArgs) -> None:
        super().__init__()
        self.n_heads = args.n_heads
        self.qkv = nn.Linear(args.d_model, 3 * args.d_model)
        self.out = nn.Linear(args.d_model, args.d_model)

    def forward(self, h: Tensor, keep: Tensor) -> Tensor:
        """Map h [B, T, D] to the attended values [B, T, D]."""
        b, t, d = h.shape
        heads = self.qkv(h).view(b, t, 3, self.n_heads, d // self.n_heads)
        q, k, v = heads.permute(2, 0, 3, 1, 4).unbind(0)  # each [B, H, T, d_k]
        mixed = attend(q, k, v, keep)  # [B, H, T, d_k]
        out: Tensor = self.out(mixed.transpose(1, 2).reshape(b, t, d))
        return out


class FeedForward(nn.Module):
    """FFN(x) = W_2 relu(W_1 x), token by token."""

    def __init__(self, args: ModelArgs) -> None:
        super().__init__()
        self.w1 = nn.Linear(args.d_model, args.d_ff)
        self.w2 = nn.Linear(args.d_ff, args.d_model)

    def forward(self, h: Tensor) -> Tensor:
        """Map [B, T, D] through [B, T, F] to [B, T, D]."""
        out: Tensor = self.w2(torch.relu(self.w1(h)))
        return out


def attend(q: Tensor, k: Tensor, v: Tensor, keep: Tensor) -> Tensor:
    """Compute att(Q,K,V) = softmax(Q K^T / sqrt(d_k)) V, in which nobody looks at padding.

    Written out instead of calling `scaled_dot_product_attention`: on a CPU, two wide heads in bfloat16 are faster
    this way, and the line is the equation.

    Args:
        q: queries [B, H, T, d_k].
        k: keys, same shape.
        v: values, same shape.
        keep: [B, T], false at padding.

    Returns:
        [B, H, T, d_k].
    """
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)  # [B, H, T, T]
    # The smallest number instead of minus infinity: a row of nothing but padding gives a mean, not NaN.
    scores = scores.masked_fill(~keep[:, None, None, :], torch.finfo(scores.dtype).min)
    mixed: Tensor = scores.softmax(-1) @ v
    return mixed


def masked_mean(h: Tensor, keep: Tensor) -> Tensor:
    """Average h [B, T, D] over the tokens that are not padding; [B, D]."""
    weight = keep.unsqueeze(-1).to(h.dtype)  # [B, T, 1]
    return (h * weight).sum(1) / weight.sum(1).clamp(min=1)


def sinusoids(length: int, width: int) -> Tensor:
    """Position table [length, width]: sin(p / 10000^(2i/width)) at 2i, the cosine of the same at 2i + 1."""
    position = torch.arange(length, dtype=torch.float32)[:, None]
    rate = torch.exp(torch.arange(0, width, 2, dtype=torch.float32) * (-math.log(10_000.0) / width))
    table = torch.empty(length, width)
    table[:, 0::2] = torch.sin(position * rate)
    table[:, 1::2] = torch.cos(position * rate)
    return table


def _init_weights(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)
    elif isinstance(module, nn.Embedding):
        # Unit scale after the factor sqrt(D) in `forward`; the row of padding stays zero.
        nn.init.normal_(module.weight, std=module.embedding_dim**-0.5)
        with torch.no_grad():
            module.weight[0].zero_()
