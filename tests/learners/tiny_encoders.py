"""Pretrained models of random weights, small enough to be made in a test."""

from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    BertConfig,
    BertModel,
    GPT2Config,
    GPT2Model,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    T5Config,
    T5Model,
    ViTConfig,
    ViTModel,
)

WORDS = ("[PAD]", "[UNK]", "red", "blue", "shoes", "hat")


def write_tiny_encoder(folder: Path, seed: int = 0) -> Path:
    """A folder as `transformers.AutoModel` reads it; its vectors have 8 components."""
    words = models.WordLevel({word: n for n, word in enumerate(WORDS)}, unk_token="[UNK]")
    tokenizer = Tokenizer(words)
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]"
    ).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=128,
    )
    return _written(BertModel, config, folder, seed)


def write_tiny_causal(folder: Path, seed: int = 0) -> Path:
    """A folder with a causal language model of width 12, for 16 positions, without tokenizer."""
    config = GPT2Config(
        vocab_size=7,
        n_embd=12,
        n_layer=1,
        n_head=2,
        n_positions=16,
        bos_token_id=None,
        eos_token_id=None,
    )
    return _written(GPT2Model, config, folder, seed)


def write_tiny_of_two_parts(folder: Path) -> Path:
    """A folder with a model whose decoder reads what its encoder wrote."""
    config = T5Config(vocab_size=7, d_model=8, d_kv=4, d_ff=16, num_layers=1, num_heads=2)
    return _written(T5Model, config, folder, 0)


def write_tiny_of_images(folder: Path) -> Path:
    """A folder with a model that reads images."""
    config = ViTConfig(
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        image_size=8,
        patch_size=4,
    )
    return _written(ViTModel, config, folder, 0)


def _written(kind: type[PreTrainedModel], config: object, folder: Path, seed: int) -> Path:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        kind(config).save_pretrained(folder)
    return folder
