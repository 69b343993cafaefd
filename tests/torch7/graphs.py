"""Networks as nngraph saves them, and the same graphs run node by node in float64."""

import copy

import numpy as np
import torch
from torch.nn import functional
from writer import Obj, Pairs

WIDTH = 1 / 16
MEAN = 0.4471


def value(array):
    return torch.from_numpy(np.array(array, dtype=np.float64))


class Layers:
    """Makes layers with random weights and statistics.

    Args:
        eps: of batch norms.
        old: the first versions' fields: 1/deviation, weights of convolutions as matrices.
        cudnn: those of its layers that there are for cuDNN are of it.
    """

    def __init__(self, seed=0, eps=1e-5, old=False, cudnn=False):
        self.random = np.random.default_rng(seed)
        self.eps = eps
        self.old = old
        self.package = "cudnn" if cudnn else "nn"

    def normal(self, *shape, scale=1.0):
        return (scale * self.random.standard_normal(shape)).astype(np.float32)

    def uniform(self, low, high, size):
        return self.random.uniform(low, high, size).astype(np.float32)

    def convolution(self, inputs, outputs, stride=1, kernel=3):
        pad = kernel // 2
        scale = np.sqrt(2 / (inputs * kernel**2))
        weight = self.normal(outputs, inputs, kernel, kernel, scale=scale)
        fields = {
            **{"kW": kernel, "kH": kernel, "dW": stride, "dH": stride, "nOutputPlane": outputs},
            "weight": weight,
            "bias": self.normal(outputs, scale=0.1),
            "gradWeight": np.zeros(0, np.float32),
        }
        if self.old:
            matrix = np.array(weight.reshape(outputs, -1))
            return Obj("nn.SpatialConvolutionMM", **fields | {"weight": matrix, "padding": pad})
        groups = {"groups": 1} if self.package == "cudnn" else {}
        return Obj(f"{self.package}.SpatialConvolution", **fields, padW=pad, padH=pad, **groups)

    def linear(self, inputs, outputs):
        weight = self.normal(outputs, inputs, scale=np.sqrt(2 / inputs))
        return Obj("nn.Linear", weight=weight, bias=self.normal(outputs, scale=0.1))

    def block(self, layer):
        """A layer with its norm and ReLU."""
        size = len(layer.fields["bias"])
        fields = {
            "eps": self.eps,
            "running_mean": self.normal(size, scale=0.2),
            "weight": self.uniform(0.7, 1.3, size),
            "bias": self.normal(size, scale=0.2),
        }
        variance = self.uniform(0.4, 1.6, size)
        if self.old:
            fields["running_std"] = (variance + self.eps) ** -0.5
        else:
            fields["running_var"] = variance
        kind = "nn." if layer.name == "nn.Linear" else f"{self.package}.Spatial"
        norm = Obj(f"{kind}BatchNormalization", **fields)
        return [layer, norm, Obj(f"{self.package}.ReLU", threshold=0, val=0, inplace=True)]

    def convolutions(self, inputs, *sizes):
        """Blocks of (outputs, stride)."""
        made = []
        for outputs, stride in sizes:
            made += self.block(self.convolution(inputs, outputs, stride))
            inputs = outputs
        return made

    def linears(self, inputs, *sizes):
        made = []
        for outputs in sizes:
            made += self.block(self.linear(inputs, outputs))
            inputs = outputs
        return made


class Node:
    """A node of a graph: its layer (None passes its input on), and where its input comes from."""

    def __init__(self, module=None, sources=(), select=None):
        self.module = module
        self.sources = list(sources)
        self.data = Pairs()
        self.data.pairs = [("input", []), ("annotations", {})]
        mapindex = Pairs()
        for place, source in enumerate(self.sources, 1):
            mapindex.pairs += [(place, source.data), (source.data, place)]
        self.data.pairs.append(("mapindex", mapindex))
        if module is not None:
            self.data.pairs.append(("module", module))
        if select is not None:
            self.data.pairs.append(("selectindex", select))
        self.select = select
        self.object = Obj(
            "nngraph.Node", data=self.data, children=[], id=0, visited=False, marked=False
        )

    def run(self, given, known):
        """The node's value, by those of the nodes before it."""
        if self not in known:
            inputs = [source.run(given, known) for source in self.sources]
            if not inputs:
                result = given
            elif self.module is not None:
                result = run(self.module, inputs[0] if len(inputs) == 1 else inputs)
            elif self.select is not None:
                result = inputs[0][self.select - 1]
            else:
                result = inputs[0] if len(inputs) == 1 else inputs
            known[self] = result
        return known[self]


class Graph:
    """A gModule: `connect(*inputs)` gives the list of its output nodes.

    Args:
        old: hand inputs out as nngraph's first versions did.
    """

    def __init__(self, connect, inputs=2, old=False):
        self.old = old
        self.innode = Node()
        if old:
            self.inputs = [Node(sources=[self.innode]) for _ in range(inputs)]
            handed = self.innode.data.pairs[2][1]
            for place, node in enumerate(self.inputs, 1):
                handed.pairs += [(place, node.data), (node.data, place)]
        else:
            split = Node(sources=[self.innode])
            chosen = [Node(sources=[split], select=n + 1) for n in range(inputs)]
            self.inputs = [Node(sources=[node]) for node in chosen]
        self.outnode = Node(sources=connect(*self.inputs))
        for node in (self.innode, self.outnode):
            node.object.fields["children"].append(self.outnode.object)

    def object(self):
        return Obj(
            "nn.gModule",
            innode=self.innode.object,
            outnode=self.outnode.object,
            forwardnodes=[self.innode.object, self.outnode.object],
            fg=Obj("graph.Graph", nodes=[self.innode.object], edges=[]),
            verbose=False,
        )

    def run(self, *given):
        known = {self.innode: list(given)}
        if self.old:
            known = dict(zip(self.inputs, given, strict=True))
        return self.outnode.run(None, known)


def run(module, x):
    """A layer of Torch in float64, after the documentation of nn."""
    fields = module.fields
    match module.name.split(".")[1]:
        case "Sequential":
            for part in fields["modules"]:
                x = run(part, x)
            return x
        case "SpatialConvolution" | "SpatialConvolutionMM":
            kernel = fields["kH"], fields["kW"]
            pad = fields.get("padH", fields.get("padding"))
            weight = value(fields["weight"]).reshape(fields["nOutputPlane"], -1, *kernel)
            bias = value(fields["bias"]) if "bias" in fields else None
            return functional.conv2d(x, weight, bias, stride=fields["dH"], padding=pad)
        case "BatchNormalization" | "SpatialBatchNormalization":
            shape = (1, -1) + (1,) * (x.ndim - 2)
            if "running_std" in fields:
                inverse = value(fields["running_std"])
            else:
                inverse = (value(fields["running_var"]) + fields["eps"]) ** -0.5
            x = (x - value(fields["running_mean"]).view(shape)) * inverse.view(shape)
            if "weight" in fields:
                x = x * value(fields["weight"]).view(shape) + value(fields["bias"]).view(shape)
            return x
        case "Linear":
            return x @ value(fields["weight"]).T + value(fields["bias"])
        case "ReLU":
            return x.clamp(min=0)
        case "Sigmoid":
            return 1 / (1 + (-x).exp())
        case "LogSoftMax":
            return x.log_softmax(1)
        case "View":
            return x.reshape(len(x), -1)
        case "Replicate":
            return x.unsqueeze(fields["dim"] - 1).repeat_interleave(
                fields["nfeatures"], fields["dim"] - 1
            )
        case "JoinTable":
            return torch.cat(x, fields["dimension"] - 1)
        case "SpatialUpSamplingNearest":
            return x.repeat_interleave(2, 2).repeat_interleave(2, 3)
        case "Identity" | "Dropout":
            return x
    raise AssertionError(module.name)


class Colornet:
    """The paper's network at width 1/16, connected in one of several ways.

    Args:
        old: layers and graph of Torch's first versions.
        local_first: fusion takes [local ; global], and the graph (full photo, 224×224).
        copies: low-level layers are there twice, as equal copies.
        classes: number of scenes; 0 leaves them out.
        apart: every layer is a node of its own, and not a part of a Sequential.
        cudnn: layers are cuDNN's, and tensors lie on the GPU.
    """

    def __init__(
        self,
        seed=0,
        eps=1e-5,
        old=False,
        local_first=False,
        copies=False,
        classes=0,
        apart=False,
        cudnn=False,
    ):
        make = Layers(seed, eps, old, cudnn)
        self.cudnn = cudnn
        c = {n: max(1, round(n * WIDTH)) for n in (32, 64, 128, 256, 512, 1024)}
        self.local_first = local_first
        self.low = make.convolutions(
            1, (c[64], 2), (c[128], 1), (c[128], 2), (c[256], 1), (c[256], 2), (c[512], 1)
        )
        self.low_again = copy.deepcopy(self.low) if copies else self.low
        self.mid = make.convolutions(c[512], (c[512], 1), (c[256], 1))
        self.deep = make.convolutions(c[512], (c[512], 2), (c[512], 1), (c[512], 2), (c[512], 1))
        self.view = Obj("nn.View", numElements=49 * c[512])
        self.linear = make.linears(49 * c[512], c[1024], c[512])
        self.last = make.linears(c[512], c[256])
        self.spread = [Obj("nn.Replicate", nfeatures=28, dim=dim) for dim in (3, 4)]
        self.join = Obj("nn.JoinTable", dimension=2)
        self.fusion = make.block(make.convolution(2 * c[256], c[256], kernel=1))
        double = Obj("nn.SpatialUpSamplingNearest", scale_factor=2)
        self.color = [
            *make.convolutions(c[256], (c[128], 1)),
            double,
            *make.convolutions(c[128], (c[64], 1), (c[64], 1)),
            double,
            *make.convolutions(c[64], (c[32], 1)),
            make.convolution(c[32], 2),
            Obj(f"{make.package}.Sigmoid"),
        ]
        self.scenes = []
        if classes:
            self.scenes = [
                *make.linears(c[512], c[256]),
                make.linear(c[256], classes),
                Obj("nn.LogSoftMax"),
            ]
        self.apart = apart
        self.old = old
        self.graph = None

    def connect(self, first, second):
        small, full = (second, first) if self.local_first else (first, second)
        scene = self.chained(small, [*self.low, *self.deep, self.view, *self.linear])
        seen = self.chained(scene, [*self.last, *self.spread])
        local = self.chained(full, [*self.low_again, *self.mid])
        joined = Node(self.join, [local, seen] if self.local_first else [seen, local])
        outputs = [self.chained(joined, [*self.fusion, *self.color])]
        if self.scenes:
            outputs.append(self.chained(scene, self.scenes))
        return outputs

    def chained(self, node, modules):
        if not self.apart:
            return Node(Obj("nn.Sequential", modules=list(modules)), [node])
        for module in modules:
            node = Node(module, [node])
        return node

    def content(self, mean=MEAN):
        """What the file holds; changes to layers that come later aren't in it."""
        self.graph = Graph(self.connect, old=self.old)
        return {"model": self.graph.object(), "mean": mean}

    def color_photo(self, photo_B1HW, small_B1HW):
        """The graph's outputs, float64, of luma and of the same at 224×224; H, W in steps of 8."""
        for replicate, side in zip(self.spread, photo_B1HW.shape[-2:], strict=True):
            replicate.fields["nfeatures"] = side // 8
        full, small = (image.double() - MEAN for image in (photo_B1HW, small_B1HW))
        given = (full, small) if self.local_first else (small, full)
        return Graph(self.connect, old=self.old).run(*given)
