"""Training at one site: load, digest what was loaded, fit, pack."""

from roundelay.learning.ahead import ahead
from roundelay.learning.fedprox import pull_of
from roundelay.learning.fit import Hooks, all_of, fit
from roundelay.learning.optimiser import Adam, load_optimiser, optimiser_arrays
from roundelay.learning.remembering import Remembering
from roundelay.learning.state import load_model, model_arrays
from roundelay.learning.weight_average import WeightAverage
from roundelay.plan.itinerary import Stop
from roundelay.plan.progress import OnStep
from roundelay.relay.baton import (
    AVERAGE,
    IMPORTANCE,
    MODEL,
    OPTIMISER,
    Baton,
    digest_of_parts,
    join,
    part_of,
)
from roundelay.site.opening import LocalSite
from roundelay.site.optimiser_state import keep_state, kept_state
from roundelay.site.soundness import arrived, refuse_infinite
from roundelay.site.work import WorkDone, batches_of, single_slices


def train_model(site: LocalSite, stop: Stop, baton: Baton, on_step: OnStep) -> WorkDone:
    """One visit's training. Raises VisitError where the loss, or what it comes to, isn't finite;
    nothing is kept then."""
    recipe, travels = site.study.recipe, site.study.recipe.optimiser_state == "travel"
    parts = arrived(baton, stop)
    model = site.machine.place(load_model(site.study.network, part_of(parts, MODEL)))
    optimiser = Adam(recipe, model)
    stayed = kept_state(site, stop)
    load_optimiser(optimiser, stayed or part_of(parts, OPTIMISER))
    average = WeightAverage(recipe, stop, model, part_of(parts, AVERAGE))
    remembering = Remembering(
        recipe, stop, model, part_of(parts, IMPORTANCE), hands_on=_goes_on(site, stop)
    )
    del parts, stayed  # as large as all that was loaded from them
    # From the loaded model, not the wire: a site that keeps its own weights must not pass.
    received = digest_of_parts(
        recipe.wire,
        model=model_arrays(model),
        optimiser=optimiser_arrays(optimiser) if travels else {},
        average=average.arrays(),
        importance=remembering.arrays(),
    )
    loss = fit(
        model,
        optimiser,
        ahead(batches_of(site, stop), site.machine),
        stop=stop,
        recipe=recipe,
        machine=site.machine,
        hooks=Hooks(
            all_of(pull_of(stop.arm, model, recipe.fedprox_mu), remembering.after_backward),
            all_of(remembering.after_step, average.after_step),
            on_step=on_step,
        ),
    )
    average.after_visit()
    model.zero_grad(set_to_none=True)
    remembering.after_visit(lambda: single_slices(site, stop), site.machine)
    state = {} if recipe.optimiser_state == "reset" else optimiser_arrays(optimiser)
    beside = {"average": average.arrays(), "importance": remembering.arrays()}
    weights = model_arrays(model)
    refuse_infinite(stop, recipe, model=weights, optimiser=state, **beside)
    if recipe.optimiser_state == "stay":
        keep_state(site, stop, state)
    returned = join(recipe.wire, model=weights, optimiser=state if travels else {}, **beside)
    return WorkDone(received, returned, loss)


def _goes_on(site: LocalSite, stop: Stop) -> bool:
    """Whether another visit may follow in a relay: also after the last one that was planned, where
    those of sites that are away are put off."""
    return not stop.ends_schedule or site.study.courier.absent == "defer"
