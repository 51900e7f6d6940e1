"""Makes the networks of a few operators with which `OnnxEngine` rules its arena: keeper.onnx and reserver.onnx."""

from pathlib import Path

from onnx import GraphProto, TensorProto, helper

FOLDER = Path(__file__).parents[1] / "src/faceloom/engines"


def main() -> None:
    write("keeper", keeper())
    write("reserver", reserver())


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


def write(name: str, graph: GraphProto) -> None:
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    (FOLDER / f"{name}.onnx").write_bytes(model.SerializeToString())


if __name__ == "__main__":
    main()
