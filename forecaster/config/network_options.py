"""The options of networks and of their ensemble. None means "not given": the plan decides."""

from __future__ import annotations

from dataclasses import dataclass

from forecaster.config.option import choice, count, option, switch
from forecaster.config.shared import EventOptions
from forecaster.errors import UsageError


@dataclass(frozen=True)
class NetworkOptions(EventOptions):
    """The shape of the network, whichever cell it has."""

    units: int | None = count("Width of each recurrent layer.", "Network")
    layers: int | None = count("Recurrent layers.", "Network")
    bidirectional: bool | None = switch(None, "Read the context in both directions.", "Network")
    dropout: float | None = option(
        None, "Share of units that dropout leaves out.", "Network", kind="float", bounds="[0, 1)"
    )
    recurrent_dropout: float | None = option(
        None,
        "Share of the state that each sequence leaves out at all its steps.",
        "Network",
        kind="float",
        bounds="[0, 1)",
    )
    residual: bool | None = switch(None, "Add each layer's input to its output.", "Network")
    context_length: int | None = count("Observations that the network sees.", "Network")
    segment: int | None = count("Observations per recurrent step.", "Network")
    head: str | None = choice(
        None, "forecaster.models.heads:HEADS", "Layers that turn states into a forecast.", "Network"
    )
    attention: bool | None = switch(None, "Encoder–decoder: weigh all steps of the context anew.", "Network")
    transform: str | None = choice(
        None, "auto forecaster.models.scaling:TRANSFORMS", "Transform of the values.", "Network"
    )
    linear: bool | None = switch(None, "Add a linear path from context to horizon.", "Network")
    calendar: bool | None = switch(None, "Add each step's hour, weekday and time of year to the inputs.", "Network")
    holidays: str | None = option(
        None, "Add a country's holidays as inputs, such as US or DE-BY; none: no special days.", "Network"
    )
    center: str | None = choice(
        None, "forecaster.models.scaling:CENTERS", "What is subtracted from the values.", "Network"
    )
    input_initializer: str | None = choice(
        None, "forecaster.models.cells:INITIALIZERS", "Initial input weights.", "Network"
    )
    recurrent_initializer: str | None = choice(
        None, "forecaster.models.cells:INITIALIZERS", "Initial recurrent weights.", "Network"
    )

    def refuse_single_residual(self) -> None:
        """UsageError for a residual connection on a single layer."""
        if self.residual and (self.layers or 1) == 1:
            raise UsageError("--residual has no effect on one layer.", "Give --layers 2 or more.")

    def refuse_idle_head_options(self, teacher_forcing: tuple[float, float] | None) -> None:
        """UsageError for options of the encoder–decoder without it, and for masks that a head cannot hold."""
        for name, given in (("attention", self.attention), ("teacher-forcing", teacher_forcing)):
            if given and self.head != "encoder-decoder":
                raise UsageError(f"--{name} has no effect without --head encoder-decoder.", "Leave one out.")
        if self.recurrent_dropout and self.head == "recursive":
            raise UsageError(
                "--recurrent-dropout: --head recursive runs single steps, each of which would have a mask of its own.",
                "Take another head, or --dropout.",
            )

    def refuse_inputs_ahead(self) -> None:
        """UsageError for inputs of the steps ahead where the head reads none."""
        for name in ("linear", "calendar", "holidays", "events"):
            if getattr(self, name):
                self.refuse_closed_head(name)

    def refuse_closed_head(self, name: str) -> None:
        """UsageError where the head ignores the option `name`, because it feeds its forecasts back."""
        from forecaster.models.heads import OPEN_HEADS

        if self.head is not None and self.head not in OPEN_HEADS:
            raise UsageError(f"--{name} has no effect on --head {self.head}.", f"Take one of {', '.join(OPEN_HEADS)}.")


@dataclass(frozen=True)
class CellOptions:
    """The recurrent cell."""

    cell: str | None = choice(
        None,
        "auto forecaster.models.cells:CELLS",
        "Recurrent cell; auto = the one with the lowest validation error.",
        "Network",
    )


@dataclass(frozen=True)
class GateOptions(CellOptions):
    """The recurrent cell, and where its reset gate acts."""

    reset_after: bool | None = switch(
        None, "GRU: apply the reset gate after the matrix product, as cuDNN does.", "Network"
    )

    forget_bias: float | None = option(
        None, "LSTM: initial bias of the forget gate.", "Network", kind="float", bounds="(-inf, inf)"
    )
    network: str | None = option(None, "Function that builds the network, module:function.", "Network", kind="function")

    def refuse_parts_of_built_in_networks(self, head: str | None) -> None:
        """UsageError for options that a network of one's own leaves without effect."""
        for name, given in (("head", head), ("cell", "auto" if self.cell == "auto" else None)):
            if self.network and given:
                raise UsageError(f"--{name} {given} has no effect with --network {self.network}.", "Leave one out.")

    def refuse_no_forget_gate(self) -> None:
        """UsageError for a bias of the forget gate where not every member has one."""
        if self.forget_bias is not None and self.cell != "lstm":
            raise UsageError("--forget-bias is that of an LSTM.", "Give --cell lstm, too.")

    def refuse_no_reset_gate(self) -> None:
        """UsageError where the cell has no reset gate."""
        from forecaster.models.cells import CELLS

        if self.reset_after is None or self.cell is None:
            return
        if self.cell == "auto":
            raise UsageError("--reset-after has no effect on every cell that --cell auto tries.", "Give --cell gru.")
        if not CELLS[self.cell].has_reset_gate:
            raise UsageError(f"--reset-after has no effect on {self.cell}: it has no reset gate.", "Leave it out.")


@dataclass(frozen=True)
class EnsembleOptions:
    """What is combined into one forecast."""

    floor: float | None = option(
        None, "Weight of a simple method in the forecast; 0 = none.", "Network", kind="float", bounds="[0, 1]"
    )
    members: int | None = count("Networks in the ensemble.", "Network")
    pretrained: bool = switch(True, "Let a pretrained network be a member, as it is and fitted further.", "Network")
    combine: str | None = choice(
        None, "forecaster.models.export:COMBINATIONS", "How the ensemble's forecasts are combined.", "Network"
    )

    def refuse_single_combination(self) -> None:
        """UsageError for a combination of a single member."""
        if self.combine and self.members == 1:
            raise UsageError("--combine has no effect on one member.", "Leave it out, or give --members 2 or more.")
