"""Makes the networks of a few operators beside `engines/`: what rules the arena, and what multiplies whole numbers."""

from pathlib import Path

from onnx import GraphProto, TensorProto, helper

from faceloom.geometry.rounded import MOST

FOLDER = Path(__file__).parents[1] / "src/faceloom/engines"


def main() -> None:
    write("keeper", keeper())
    write("reserver", reserver())
    write("whole_numbers", whole_numbers())


def keeper() -> GraphProto:
    """Four bytes in, four bytes out."""
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy")
    return helper.make_graph([helper.make_node("Neg", ["x"], ["y"])], "keeper", [x], [y])


def reserver() -> GraphProto:
    """One block of `n` floats, held for a moment; four bytes out."""
    n = helper.make_tensor_value_info("n", TensorProto.INT64, [1])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [])
    zero = helper.make_tensor("value", TensorProto.FLOAT, [1], [0.0])
    nodes = [
        helper.make_node("ConstantOfShape", ["n"], ["block"], value=zero),
        helper.make_node("ReduceMax", ["block"], ["y"], keepdims=0),
    ]
    return helper.make_graph(nodes, "reserver", [n], [y])


def whole_numbers() -> GraphProto:
    """Products of whole numbers, of which the left ones have `MOST` added: signed ones take seven times as long."""
    left = helper.make_tensor_value_info("left", TensorProto.UINT8, ["rows", "numbers"])
    right = helper.make_tensor_value_info("right", TensorProto.INT8, ["numbers", "columns"])
    products = helper.make_tensor_value_info("products", TensorProto.INT32, ["rows", "columns"])
    zero = helper.make_tensor("zero", TensorProto.UINT8, [], [MOST])
    node = helper.make_node("MatMulInteger", ["left", "right", "zero"], ["products"])
    return helper.make_graph([node], "whole_numbers", [left, right], [products], initializer=[zero])


def write(name: str, graph: GraphProto) -> None:
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    (FOLDER / f"{name}.onnx").write_bytes(model.SerializeToString())


if __name__ == "__main__":
    main()
