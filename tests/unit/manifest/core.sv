// SPDX-License-Identifier: Apache-2.0
// Stands for a core, a network and a waiver file: manifests only ask whether it is there.
module t;
endmodule
