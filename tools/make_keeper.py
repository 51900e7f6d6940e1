"""Makes src/faceloom/engines/keeper.onnx: a network of one operator, for `OnnxEngine.shrink`."""

from pathlib import Path

from onnx import TensorProto, helper

TARGET = Path(__file__).parents[1] / "src/faceloom/engines/keeper.onnx"


def main() -> None:
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Neg", ["x"], ["y"])], "keeper", [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    TARGET.write_bytes(model.SerializeToString())


if __name__ == "__main__":
    main()
