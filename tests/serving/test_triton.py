"""Model repositories as Triton's own schema has them."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from made_images import photo
from onnx import TensorProto, helper
from PIL import Image

from vit_hf.commands.export import main
from vit_hf.errors import UserError
from vit_hf.exporting.graphs import graph_of
from vit_hf.files import write_json
from vit_hf.publishing.load_classifier import load_classifier
from vit_hf.runs.predict import predict
from vit_hf.serving.triton import export_for_triton, write_triton

# Of model_config.proto, the fields that are written: (name, number, type, repeated). Another name does not parse.
STRING, INT32, INT64, UINT64, ENUM, MESSAGE = 9, 5, 3, 4, 14, 11
SCHEMA = {
    "ModelInput": [("name", 1, STRING, 0), ("data_type", 2, ENUM, 0), ("dims", 4, INT64, 1)],
    "ModelOutput": [
        ("name", 1, STRING, 0),
        ("data_type", 2, ENUM, 0),
        ("dims", 3, INT64, 1),
        ("label_filename", 4, STRING, 0),
    ],
    "ModelDynamicBatching": [("max_queue_delay_microseconds", 2, UINT64, 0)],
    "ModelConfig": [
        ("name", 1, STRING, 0),
        ("max_batch_size", 4, INT32, 0),
        ("input", 5, "ModelInput", 1),
        ("output", 6, "ModelOutput", 1),
        ("dynamic_batching", 11, "ModelDynamicBatching", 0),
        ("backend", 17, STRING, 0),
    ],
}
DATA_TYPES = {"TYPE_INVALID": 0, "TYPE_UINT8": 2, "TYPE_INT64": 9, "TYPE_FP16": 10, "TYPE_FP32": 11}


def triton_schema() -> Any:
    file = descriptor_pb2.FileDescriptorProto(name="model_config.proto", package="inference", syntax="proto3")
    kinds = file.enum_type.add(name="DataType")
    for name, number in DATA_TYPES.items():
        kinds.value.add(name=name, number=number)
    for message, fields in SCHEMA.items():
        described = file.message_type.add(name=message)
        for name, number, kind, repeated in fields:
            field = described.field.add(name=name, number=number, label=3 if repeated else 1)
            field.type = MESSAGE if isinstance(kind, str) else kind  # pyright: ignore[reportAttributeAccessIssue]
            if kind == ENUM or isinstance(kind, str):
                field.type_name = f".inference.{'DataType' if kind == ENUM else kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("inference.ModelConfig"))


def exported(folder: Path, inputs: dict[str, Any], outputs: dict[str, Any], file: str = "model.onnx") -> Path:
    """A folder with a graph of these inputs and outputs (type and sizes), whose weights lie beside it."""
    folder.mkdir()
    weights = helper.make_tensor("weights", TensorProto.FLOAT, [1000], np.ones(1000, np.float32))
    graph = helper.make_graph(
        [],
        "graph",
        [helper.make_tensor_value_info(name, *kind) for name, kind in inputs.items()],
        [helper.make_tensor_value_info(name, *kind) for name, kind in outputs.items()],
        [weights],
    )
    beside = {"save_as_external_data": True, "location": f"{file}.data", "size_threshold": 0}
    onnx.save_model(helper.make_model(graph), folder / file, **beside)
    write_json(folder / "export.json", {"format": "onnx", "file": file})
    write_json(folder / "config.json", {"id2label": {str(number): f"class {number}" for number in range(11)}})
    return folder


def read(model: Path) -> Any:
    return text_format.Parse((model / "config.pbtxt").read_text(), triton_schema()())


def test_a_graph_of_batches_is_batched(tmp_path: Path):
    pixels, logits = (TensorProto.FLOAT, ["batch", 3, 32, 48]), (TensorProto.FLOAT, ["batch", 11])
    folder = exported(tmp_path / "photos", {"pixel_values": pixels}, {"logits": logits})
    model = write_triton(folder, tmp_path / "repository", max_batch=32, batch_wait_ms=2.5)
    assert model == tmp_path / "repository" / "photos"
    config = read(model)
    assert (config.name, config.backend, config.max_batch_size) == ("photos", "onnxruntime", 32)
    assert config.dynamic_batching.max_queue_delay_microseconds == 2500
    (pixel_values,), (output,) = config.input, config.output
    assert (pixel_values.name, [*pixel_values.dims]) == ("pixel_values", [3, 32, 48])
    assert (output.name, [*output.dims], output.label_filename) == ("logits", [11], "labels.txt")
    assert pixel_values.data_type == output.data_type == DATA_TYPES["TYPE_FP32"]
    assert (model / "labels.txt").read_text().splitlines() == [f"class {number}" for number in range(11)]
    graph = onnx.load(model / "1" / "model.onnx")
    assert np.array_equal(onnx.numpy_helper.to_array(graph.graph.initializer[0]), np.ones(1000))


def test_a_graph_of_one_picture_is_not_batched(tmp_path: Path):
    outputs = {"probabilities": (TensorProto.FLOAT, [11]), "heat": (TensorProto.FLOAT, [4, 4])}
    picture = {"images": (TensorProto.UINT8, ["height", "width", 3])}
    config = read(write_triton(exported(tmp_path / "photos", picture, outputs), tmp_path, name="one"))
    assert (config.name, config.max_batch_size, config.HasField("dynamic_batching")) == ("one", 0, False)
    assert (config.input[0].data_type, [*config.input[0].dims]) == (DATA_TYPES["TYPE_UINT8"], [-1, -1, 3])
    assert [(one.name, [*one.dims], one.label_filename) for one in config.output] == [
        ("probabilities", [11], "labels.txt"),
        ("heat", [4, 4], ""),
    ]


def test_what_cannot_be_a_model_of_triton_is_refused(tmp_path: Path):
    with pytest.raises(UserError, match=r"holds no ONNX file \(model.onnx\)"):
        write_triton(tmp_path, tmp_path / "repository")
    size = (TensorProto.FLOAT, ["batch", 3])
    folder = exported(tmp_path / "my photos", {"pixel_values": size}, {"logits": size})
    with pytest.raises(UserError, match="cannot be called 'my photos'"):
        write_triton(folder, tmp_path / "repository")
    write_triton(folder, tmp_path / "repository", name="photos")
    with pytest.raises(UserError, match="is there already"):
        write_triton(folder, tmp_path / "repository", name="photos")


def test_a_batch_of_pictures_is_answered_as_predict_answers_each(saved: Path, tmp_path: Path):
    """In PyTorch; that the written graph says the same is compared whenever one is written."""
    model, processor = load_classifier(str(saved))
    shown = np.stack([np.asarray(photo().rotate(angle)) for angle in (0, 90, 180)])
    for number, picture in enumerate(shown):
        Image.fromarray(picture).save(tmp_path / f"{number}.png")
    expected = predict(str(saved), [tmp_path], top=5).results
    graph = graph_of(model.eval(), processor, preprocessing=True, batched=True)
    with torch.inference_mode():
        (answers,) = graph.module(torch.from_numpy(shown))
    for row, answer in zip(answers, expected, strict=True):
        of_labels = {one["label"]: one["probability"] for one in answer["predictions"]}
        assert [of_labels[name] for name in model.config.id2label.values()] == pytest.approx(row.tolist(), abs=2e-3)


def test_an_exported_folder_is_written_as_it_is(tmp_path: Path):
    size = (TensorProto.FLOAT16, ["batch", 3])
    folder = exported(tmp_path / "half", {"pixel_values": size}, {"logits": size}, "model_float16.onnx")
    model = export_for_triton(str(folder), tmp_path / "repository")
    config, graph = read(model), onnx.load(model / "1" / "model.onnx").graph
    assert np.array_equal(onnx.numpy_helper.to_array(graph.initializer[0]), np.ones(1000))
    assert (config.name, config.input[0].data_type) == ("half", DATA_TYPES["TYPE_FP16"])


def test_the_command_says_what_triton_is_not_given(tmp_path: Path, capsys):
    assert main(["model", str(tmp_path), "--to", "triton", "--precision", "int8"]) == 2
    assert "export --to onnx first" in capsys.readouterr().err
