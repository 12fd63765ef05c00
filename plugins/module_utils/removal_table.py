# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""THE table of what a minor version took away, by the version that no longer has it.

Sources: k8s.io/kubernetes v1.33.13, v1.34.4, v1.35.4 and v1.36.3 with their staging modules, compared by
`python3 -m maintenance.removals`; go.etcd.io/etcd/server/v3 v3.5.32, v3.6.16 and v3.7.3 (embed and etcdmain); for 1.37
what kubeadm and the kubelet of v1.36.3 announce.
FLAGS: a component does not start with one that it does not know. GATES: nor with a feature gate that no longer exists.
LOCKED: gates that from this version on cannot be set to another value than this (LockToDefault). KUBEADM_GATES and
KUBEADM_LOCKED: likewise, of kubeadm itself. KUBELET_FIELDS: fields of KubeletConfiguration. APIS: no longer served;
those in REGISTERED may still be named in --runtime-config. KUBEADM_APIS: versions of kubeadm's configuration.
ETCD_SERIES: etcd of the versions that versions.py does not have yet.
"""

from __future__ import annotations

FLAGS: dict[str, dict[str, tuple[str, ...]]] = {
    "kubelet": {
        "1.34": (
            "cloud-config", "register-schedulable",
        ),
        "1.35": (
            "pod-infra-container-image",
        ),
    },
    "kube-apiserver": {},
    "kube-controller-manager": {},
    "kube-scheduler": {},
    "etcd": {
        "3.6": (
            "cluster-file", "enable-v2", "experimental-enable-v2v3", "fallback-proxy", "proxy",
            "proxy-dial-timeout", "proxy-failure-wait", "proxy-read-timeout", "proxy-refresh-interval",
            "proxy-write-timeout",
        ),
        "3.7": (
            "discovery", "discovery-proxy", "experimental-bootstrap-defrag-threshold-megabytes",
            "experimental-compact-hash-check-enabled", "experimental-compact-hash-check-time",
            "experimental-compaction-batch-limit", "experimental-compaction-sleep-interval",
            "experimental-corrupt-check-time", "experimental-distributed-tracing-address",
            "experimental-distributed-tracing-instance-id", "experimental-distributed-tracing-sampling-rate",
            "experimental-distributed-tracing-service-name", "experimental-downgrade-check-time",
            "experimental-enable-distributed-tracing", "experimental-enable-lease-checkpoint",
            "experimental-enable-lease-checkpoint-persist", "experimental-initial-corrupt-check",
            "experimental-memory-mlock",
            "experimental-peer-skip-client-san-verification", "experimental-snapshot-catchup-entries",
            "experimental-stop-grpc-service-on-defrag", "experimental-txn-mode-write-with-shared-buffer",
            "experimental-warning-apply-duration", "experimental-warning-unary-request-duration",
            "experimental-watch-progress-notify-interval",
        ),
    },
}  # fmt: skip
GATES: dict[str, tuple[str, ...]] = {
    "1.34": (
        "DevicePluginCDIDevices", "ElasticIndexedJob", "LegacySidecarContainers", "PodDisruptionConditions",
        "StatefulSetStartOrdinal",
    ),
    "1.35": (
        "AllowServiceLBStatusOnNonLB", "ComponentSLIs", "CronJobsScheduledAnnotation", "LoadBalancerIPMode",
        "PodIndexLabel", "ProbeHostPodSecurityStandards", "SizeMemoryBackedVolumes", "StatefulSetAutoDeletePVC",
        "StrictCostEnforcementForVAP", "StrictCostEnforcementForWebhooks", "UserNamespacesPodSecurityStandards",
    ),
    "1.36": (
        "CPUCFSQuotaPeriod", "CSIMigrationPortworx", "HonorPVReclaimPolicy",
        "InPlacePodVerticalScalingAllocatedStatus", "InTreePluginPortworxUnregister", "MemoryManager",
        "RuntimeClassInImageCriAPI", "ServiceTrafficDistribution", "StructuredAuthorizationConfiguration",
        "TopologyAwareHints", "WatchFromStorageWithoutResourceVersion",
    ),
}  # fmt: skip
LOCKED: dict[str, dict[str, bool]] = {
    "1.34": {
        "APIServerTracing": True, "AnonymousAuthConfigurableEndpoints": True, "AuthorizeNodeWithSelectors": True,
        "AuthorizeWithSelectors": True, "ConsistentListFromCache": True, "JobPodReplacementPolicy": True,
        "KubeletCgroupDriverFromCRI": True, "KubeletTracing": True, "MultiCIDRServiceAllocator": True,
        "NodeSwap": True, "OrderedNamespaceDeletion": True, "PodLifecycleSleepAction": True,
        "PodLifecycleSleepActionAllowZero": True, "RecoverVolumeExpansionFailure": True,
        "RelaxedDNSSearchValidation": True, "RelaxedEnvironmentVariableValidation": True,
        "ResilientWatchCacheInitialization": True, "SchedulerQueueingHints": True,
        "SeparateTaintEvictionController": True, "StreamingCollectionEncodingToJSON": True,
        "StreamingCollectionEncodingToProtobuf": True, "StructuredAuthenticationConfiguration": True,
        "WinDSR": True, "WinOverlay": True,
    },
    "1.35": {
        "AggregatedDiscoveryRemoveBetaType": True, "AllowOverwriteTerminationGracePeriodSeconds": False,
        "DisableAllocatorDualWrite": True, "DynamicResourceAllocation": True, "ExecProbeTimeout": True,
        "ImageMaximumGCAge": True, "InPlacePodVerticalScaling": True, "JobManagedBy": True,
        "PodObservedGenerationTracking": True, "PreferSameTrafficDistribution": True,
        "SupplementalGroupsPolicy": True, "SystemdWatchdog": True,
    },
    "1.36": {
        "CSIServiceAccountTokenSecrets": True, "DRAAdminAccess": True, "DeclarativeValidation": True,
        "DisableNodeKubeProxyVersion": True, "ExternalServiceAccountTokenSigner": True,
        "GitRepoVolumeDriver": False, "ImageVolume": True, "KubeletFineGrainedAuthz": True, "KubeletPSI": True,
        "KubeletPodResourcesDynamicResources": True, "KubeletPodResourcesGet": True,
        "MutableCSINodeAllocatableCount": True, "NodeLogQuery": True, "ProcMountType": True,
        "SELinuxChangePolicy": True, "SELinuxMountReadWriteOncePod": True, "SeparateCacheWatchRPC": False,
        "TopologyManagerPolicyOptions": True, "UserNamespacesSupport": True, "VolumeAttributesClass": True,
    },
}  # fmt: skip
KUBEADM_GATES: dict[str, tuple[str, ...]] = {
    "1.35": ("WaitForAllControlPlaneComponents",),
    "1.36": ("ControlPlaneKubeletLocalMode",),
}
KUBELET_FIELDS: dict[str, tuple[str, ...]] = {}
APIS: dict[str, tuple[str, ...]] = {
    "1.35": ("storage.k8s.io/v1alpha1", "storagemigration.k8s.io/v1alpha1"),
    "1.36": ("scheduling.k8s.io/v1alpha1",),
}
KUBEADM_LOCKED: dict[str, dict[str, bool]] = {
    "1.34": {"WaitForAllControlPlaneComponents": True},
    "1.35": {"ControlPlaneKubeletLocalMode": True},
    "1.36": {"NodeLocalCRISocket": True},
}
KUBEADM_APIS: dict[str, tuple[str, ...]] = {"1.37": ("kubeadm.k8s.io/v1beta3",)}
REGISTERED = ("storage.k8s.io/v1alpha1",)
ETCD_SERIES = {"1.37": "3.7"}
