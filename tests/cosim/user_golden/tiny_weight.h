// SPDX-License-Identifier: Apache-2.0
#define kTinyWeight 16
