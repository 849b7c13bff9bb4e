//! What is inside Azure Sphere files: image packages, manifests, capability files, OS lists, ASXipFS, signatures.
