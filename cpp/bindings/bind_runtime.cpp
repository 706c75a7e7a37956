// Threads, targets, and the names of what the kernels offer.
#include "bindings/arrays.h"
#include "bindings/module.h"
#include "runtime/dispatch.h"
#include "runtime/openmp_info.h"
#include "runtime/team.h"
#include "runtime/threads.h"

namespace fallline {
namespace {

std::vector<std::string> names(const char* const* list) {
  std::vector<std::string> all;
  for (; *list; ++list) all.emplace_back(*list);
  return all;
}

std::vector<std::string> activation_names() {
  const KernelTable<float>& table = kernels<float>();
  std::vector<std::string> all;
  for (int i = 0; i < table.activation_count; ++i) all.emplace_back(table.activations[i].name);
  all.emplace_back("softmax");
  return all;
}

std::vector<std::string> loss_names() {
  const KernelTable<float>& table = kernels<float>();
  std::vector<std::string> all;
  for (int i = 0; i < table.loss_count; ++i) all.emplace_back(table.losses[i].name);
  return all;
}

py::dict optimizer_rules() {
  const KernelTable<float>& table = kernels<float>();
  py::dict all;
  for (int i = 0; i < table.optimizer_count; ++i) {
    const auto& rule = table.optimizers[i];
    all[rule.name] = py::make_tuple(names(rule.hyper), names(rule.slots));
  }
  return all;
}

py::dict config() {
  const TargetChoice& choice = chosen_target();
  const ThreadLimit limit = thread_limit();
  py::dict all;
#if defined(__clang__)
  all["compiler"] = "Clang " __clang_version__;
#else
  all["compiler"] = "GCC " __VERSION__;
#endif
  all["targets"] = built_targets();
  all["usable_targets"] = usable_targets();
  all["target"] = choice.target->name;
  all["target_reason"] = choice.reason;
  all["threads"] = limit.threads;
  all["threads_reason"] = limit.reason;
  all["openmp"] = openmp_runtimes();
  return all;
}

}  // namespace

void bind_runtime(py::module_& m) {
  // Both throw for a variable of the environment that makes no sense, so that the import fails and not some call.
  m.attr("target") = chosen_target().target->name;
  default_threads();
  m.attr("max_threads") = Team::max_size;
  m.def("activations", activation_names);
  m.def("losses", loss_names);
  m.def("optimizers", optimizer_rules);
  m.def("config", config);
  m.def("forked", forked_child);
  m.def("get_num_threads", get_num_threads);
  m.def("set_num_threads", [](std::optional<int> n) { n ? set_num_threads(*n) : reset_num_threads(); }, py::arg("n"));
}

}  // namespace fallline
