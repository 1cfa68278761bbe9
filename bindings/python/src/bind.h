// bind.h - one function a room: each adds a submodule of mailsbuddy._core with what it binds. In the order of the
// rooms, lower ones first, since a signature can only name types that are there.
#pragma once

#include <pybind11/pybind11.h>

namespace mailsbuddy::python {

namespace py = pybind11;

void bind_base(py::module_& core);     // _core itself: version, build_info.
void bind_mail(py::module_& core);     // _core.mail: Address, Template, Reply, Outcome, messages.
void bind_net(py::module_& core);      // _core.net: Resolver.
void bind_smtp(py::module_& core);     // _core.smtp: Client.
void bind_dkim(py::module_& core);     // _core.dkim: keys, KeyRing, Signer, verify().
void bind_bounce(py::module_& core);   // _core.bounce: Verdict, Classifier.
void bind_warming(py::module_& core);  // _core.warming: Curve, plan(), Simulation.
void bind_engine(py::module_& core);   // _core.engine: Engine, and what it takes and reports.
void bind_queue(py::module_& core);    // The second part of _core.engine, and
void bind_events(py::module_& core);   // the third, and
void bind_listen(py::module_& core);   // the fourth; bind_engine() calls them.

}  // namespace mailsbuddy::python
